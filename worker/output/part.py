"""From a job's rows and their vectors to one part, and the failed rows beside it. Knows no model and no queue.

The failed rows are written before the part: a part that is there says that all of its job is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import ERRORS_SCHEMA, is_chunked, kept_fields, part_schema
from schemas.run import RunRecord
from schemas.store import Vectors, not_finite, rounded
from schemas.text import text_hash
from worker.output.vectors import stored_column


class Failure(NamedTuple):
    """Why one row has no vector: one word to count by, and the details."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of the embeddable rows of a payload, in their order.

    `failures` are by index into these arrays; what the arrays hold there does not matter.
    """

    vectors: Vectors
    n_tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    failures: Mapping[int, Failure] = field(default_factory=dict)


class Part(NamedTuple):
    """A job's outcome, not yet written: the part's rows and the failed rows."""

    rows: pa.Table
    failed: pa.Table


def embeddable(payload: pa.Table) -> pa.Table:
    """The rows of a payload that have no problem: those to encode, in order."""
    return payload.filter(pc.is_null(payload.column("problem"))).combine_chunks()


def build_part(payload: pa.Table, encoded: Encoded, record: RunRecord) -> Part:
    """The part of a job, and its failed rows: the source's, the engine's, and vectors that are not finite."""
    rows = embeddable(payload)
    if not len(rows) == len(encoded.vectors) == len(encoded.n_tokens) == len(encoded.truncated):
        raise ValueError(f"{len(rows)} rows to encode, but {len(encoded.vectors)} vectors")
    vectors = rounded(encoded.vectors, record.store)
    failures = {**_not_finite(vectors), **encoded.failures}
    schema = part_schema(
        kept_fields(payload.schema),
        keep_text=record.source.keep_text,
        store=record.store,
        chunked=is_chunked(payload.schema),
    )
    failed = pa.concat_tables([_problems(payload), _failed(rows, failures)])
    if failures:
        good = np.setdiff1d(np.arange(len(rows)), list(failures))
        rows, vectors = rows.take(pa.array(good)), vectors[good]
        encoded = Encoded(vectors, encoded.n_tokens[good], encoded.truncated[good])
    columns = {
        **{name: rows.column(name) for name in schema.names if name in rows.column_names},
        "n_tokens": pa.array(encoded.n_tokens, pa.int32()),
        "truncated": pa.array(encoded.truncated, pa.bool_()),
        "text_hash": pa.array([text_hash(text) for text in rows.column("text").to_pylist()], pa.binary()),
        "embedding": stored_column(vectors, record.store, record.ranges),
    }
    return Part(pa.table([columns[name] for name in schema.names], schema=schema), failed)


def _not_finite(vectors: Vectors) -> dict[int, Failure]:
    failure = Failure("not_finite", "the model gave a vector with NaN or infinity")
    return {int(index): failure for index in not_finite(vectors)}


def _problems(payload: pa.Table) -> pa.Table:
    """The rows that the source could not give whole."""
    rows = payload.filter(pc.is_valid(payload.column("problem")))
    reason = pa.array(["source"] * len(rows), pa.string())
    return pa.table([rows.column("id"), rows.column("chunk"), reason, rows.column("problem")], schema=ERRORS_SCHEMA)


def _failed(rows: pa.Table, failures: Mapping[int, Failure]) -> pa.Table:
    """The rows that could not be encoded, in order."""
    indices = sorted(failures)
    taken = rows.take(pa.array(indices, pa.int64()))
    reasons = pa.array([failures[index].reason for index in indices], pa.string())
    details = pa.array([failures[index].detail for index in indices], pa.string())
    return pa.table([taken.column("id"), taken.column("chunk"), reasons, details], schema=ERRORS_SCHEMA)
