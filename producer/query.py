"""The nearest rows of a table to a text, exactly. Knows the table; the encoder is given.

Every vector is looked at, in pieces of bounded size, so memory does not grow with the table. Where only the signs are
stored, nearness is the share of equal signs, and the query's numbers count by their signs, too.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.table.batches import batches_of
from producer.table.codes import Coding
from producer.table.log import live_files, open_log
from producer.table.state import open_table
from schemas.errors import UsageError
from schemas.record import Record
from schemas.store import hamming, packed

_BATCH_ROWS = 4_096

Vector = npt.NDArray[np.float32]


class Hit(Record):
    """One row that was found; `columns` are the light columns (the text, where it is kept).

    `score` is the cosine, that of the decoded vector for int8 and uint8; for binary and ubinary it is
    1 - 2 x (bits that differ) / dims, which is 1 for equal signs, 0 for half of them, -1 for none.
    """

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
    score = _score_of(wanted / length, table, version)
    best: _Scored | None = None
    for batch in _batches(table, version):
        scored = _Scored(pa.Table.from_batches([batch]).drop_columns(["embedding"]), score(batch.column("embedding")))
        best = _best(scored if best is None else _joined(best, scored), k)
    return [] if best is None else _hits(best)


class _Scored(NamedTuple):
    """Rows without their vectors, and the score of each."""

    rows: pa.Table
    scores: Vector


def _batches(table: str, version: int | None) -> Iterator[pa.RecordBatch]:
    for file in live_files(open_log(table, version), table):
        yield from batches_of(file.path, _BATCH_ROWS)


def _score_of(wanted: Vector, table: str, version: int | None) -> Callable[[pa.ListArray], Vector]:
    """How near each vector of a column is to the one of length 1 that is wanted."""
    state = open_table(table, version)
    coding = Coding.of(state)
    if state is not None and state.spec.dims != len(wanted):
        raise UsageError(f"the query has {len(wanted)} numbers, the vectors of {table} have {state.spec.dims}")
    if not coding.packed:
        return lambda column: _cosines(coding.values(column, table), wanted)
    bits = np.packbits(wanted > 0)

    def signs(column: pa.ListArray) -> Vector:
        differing = hamming(packed(coding.codes(column, table), coding.store), bits)
        return np.asarray(1 - 2 * differing / len(wanted), np.float32)

    return signs


def _cosines(vectors: Vector, wanted: Vector) -> Vector:
    lengths = np.linalg.norm(vectors, axis=1)
    cosines: Vector = np.divide(vectors @ wanted, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return cosines


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
