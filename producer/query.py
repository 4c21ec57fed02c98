"""The nearest rows of a table to a text, exactly. Knows the table; the encoder is given.

Every vector is looked at, in pieces of bounded size, so memory does not grow with the table.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.table.log import live_files, open_log
from producer.table.read import vectors_of
from schemas.errors import TableError, UsageError
from schemas.record import Record

_BATCH_ROWS = 4_096
_NOT_SHOWN = frozenset({"id", "chunk", "embedding", "text_hash"})

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
    best: pa.Table | None = None
    for batch in _batches(table, version):
        scored = _best(_scored(batch, wanted / length, table), k)
        best = scored if best is None else _best(pa.concat_tables([best, scored]), k)
    return [] if best is None else [_hit(row) for row in best.to_pylist()]


def _batches(table: str, version: int | None) -> Iterator[pa.RecordBatch]:
    for file in live_files(open_log(table, version), table):
        try:
            with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20) as parquet:
                yield from parquet.iter_batches(_BATCH_ROWS)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"cannot read {file.path}: {error}", way_out="vecmill verify") from error


def _scored(batch: pa.RecordBatch, wanted: Vector, table: str) -> pa.Table:
    """The light columns of a batch, with the score of each row."""
    vectors = vectors_of(batch.column("embedding"), table)
    if len(vectors) and vectors.shape[1] != len(wanted):
        raise UsageError(f"the query has {len(wanted)} numbers, the vectors of {table} have {vectors.shape[1]}")
    lengths = np.linalg.norm(vectors, axis=1) if len(vectors) else np.zeros(0, np.float32)
    scores = np.divide(
        vectors.reshape(-1, len(wanted)) @ wanted, lengths, out=np.zeros_like(lengths), where=lengths > 0
    )
    light = pa.Table.from_batches([batch]).drop_columns(["embedding"])
    return light.append_column(_SCORE, pa.array(scores, pa.float32()))


#: No column of a table can have this name: a run's own columns have none of it, kept ones are not checked for dots.
_SCORE = "vecmill.score"


def _best(rows: pa.Table, k: int) -> pa.Table:
    scores = rows.column(_SCORE).to_numpy()
    return rows.take(pa.array(np.argsort(-scores, kind="stable")[:k]))


def _hit(row: dict[str, Any]) -> Hit:
    columns = {name: value for name, value in row.items() if name not in _NOT_SHOWN and name != _SCORE}
    return Hit(id=row["id"], chunk=row["chunk"], score=row[_SCORE], columns=columns)
