"""The nearest rows of a table to a text, exactly. Knows the table; the encoder is given.

Every vector is looked at, in pieces of bounded size, so memory does not grow with the table.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.table.log import live_files, open_log
from producer.table.read import vectors_of
from schemas.errors import TableError, UsageError
from schemas.record import Record

_BATCH_ROWS = 4_096

Vector = npt.NDArray[np.float32]


class Hit(Record):
    """One row that was found; `score` is the cosine, `columns` the light columns (the text, where it is kept)."""

    id: str
    chunk: int
    score: float
    columns: dict[str, Any]


def query(
    table: str, text: str, *, encode: Callable[[str], Vector], k: int = 10, version: int | None = None
) -> list[Hit]:
    """The k rows nearest to a text, which `encode` makes a vector of as the table's spec says."""
    return search(table, encode(text), k=k, version=version)


def search(table: str, vector: Vector, *, k: int = 10, version: int | None = None) -> list[Hit]:
    """The k rows nearest to a vector, the nearest first; rows of equal score in the table's order."""
    wanted = np.asarray(vector, np.float32).reshape(-1)
    length = float(np.linalg.norm(wanted))
    if k < 1 or not np.isfinite(length) or length == 0.0:
        raise UsageError(f"cannot search for {k} rows near a vector of length {length}")
    best: _Scored | None = None
    for batch in _batches(table, version):
        scored = _scored(batch, wanted / length, table)
        best = _best(scored if best is None else _joined(best, scored), k)
    return [] if best is None else _hits(best)


class _Scored(NamedTuple):
    """Rows without their vectors, and the score of each."""

    rows: pa.Table
    scores: Vector


def _batches(table: str, version: int | None) -> Iterator[pa.RecordBatch]:
    for file in live_files(open_log(table, version), table):
        try:
            with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20) as parquet:
                yield from parquet.iter_batches(_BATCH_ROWS)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"cannot read {file.path}: {error}", way_out="vecmill verify") from error


def _scored(batch: pa.RecordBatch, wanted: Vector, table: str) -> _Scored:
    vectors = vectors_of(batch.column("embedding"), table)
    if vectors.shape[1] != len(wanted):
        raise UsageError(f"the query has {len(wanted)} numbers, the vectors of {table} have {vectors.shape[1]}")
    lengths = np.linalg.norm(vectors, axis=1)
    scores = np.divide(vectors @ wanted, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return _Scored(pa.Table.from_batches([batch]).drop_columns(["embedding"]), scores)


def _joined(one: _Scored, other: _Scored) -> _Scored:
    return _Scored(
        pa.concat_tables([one.rows, other.rows], promote_options="permissive"),
        np.concatenate([one.scores, other.scores]),
    )


def _best(scored: _Scored, k: int) -> _Scored:
    order = np.argsort(-scored.scores, kind="stable")[:k]
    return _Scored(scored.rows.take(pa.array(order)), scored.scores[order])


def _hits(scored: _Scored) -> list[Hit]:
    return [
        Hit(id=row.pop("id"), chunk=row.pop("chunk"), score=float(score), columns=row)
        for row, score in zip(scored.rows.drop_columns(["text_hash"]).to_pylist(), scored.scores, strict=True)
    ]
