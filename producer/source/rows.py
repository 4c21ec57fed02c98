"""From what a reader found to a batch in the payload's schema. Knows values and their places, not formats.

A row that cannot be embedded keeps its place: its text is null and its `problem` says what is wrong and
where, so that it ends up among the failed rows and its neighbours do not suffer. Where tombstones are asked for, a
last column says which rows are some; one without an id is no tombstone but a row with that problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from producer.source.casts import cast
from producer.source.columns import Columns
from producer.source.nested import column_at, value_at
from producer.source.template import Template
from producer.source.values import Problems, column_of
from schemas.arrow import payload_schema

#: Beside the payload's columns, and gone before a row leaves the source; no column of a file can have this name there.
TOMBSTONE = "tombstone?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows of one batch are: `numbers` as a person counts them, `first_row` as ids do."""

    file: str
    unit: str
    numbers: Sequence[int]
    first_row: int

    def of(self, index: int) -> str:
        """One row, as a message names it."""
        return f"{self.file} {self.unit} {self.numbers[index]}"

    def ids(self) -> pa.Array:
        """The ids of rows that have none of their own."""
        return pa.array([f"{self.file}#{self.first_row + index}" for index in range(len(self.numbers))], pa.string())


def from_records(records: list[dict[str, Any]], columns: Columns, place: Place, problems: Problems) -> pa.RecordBatch:
    """A batch of parsed rows; a value that does not fit its column is the row's problem."""
    ids = None
    if columns.id is not None:
        ids = column_of([_text(value) for value in _values(records, columns.id)], _string("id"), problems)
    arrays = [ids, _texts(records, columns.text, problems), *_kept(records, columns, problems)]
    flags = None
    if columns.deleted is not None:
        flags = column_of(_values(records, columns.deleted), _flag(columns.deleted), problems)
    return _payload(columns, place, arrays, flags, problems)


def _texts(records: list[dict[str, Any]], template: Template, problems: Problems) -> pa.Array:
    if template.is_column:
        return column_of(_values(records, template.columns[0]), _string("text"), problems)
    columns = ([_text(value) for value in _values(records, name)] for name in template.columns)
    named = zip(columns, template.columns, strict=True)
    return template.joined([column_of(values, _string(name), problems) for values, name in named])


def _kept(records: list[dict[str, Any]], columns: Columns, problems: Problems) -> list[pa.Array]:
    named = zip(columns.sources, columns.kept, strict=True)
    return [column_of(_values(records, source), field, problems) for source, field in named]


def _values(records: list[dict[str, Any]], name: str) -> list[Any]:
    return [value_at(record, name) for record in records]


def from_columns(batch: pa.RecordBatch, columns: Columns, place: Place) -> pa.RecordBatch:
    """A batch of columns; a value that does not fit its type in the table is the row's problem."""
    problems: Problems = {}
    ids = None if columns.id is None else id_column(column_at(batch, columns.id), problems)
    named = [("text" if columns.text.is_column else name, name) for name in columns.text.columns]
    texts = columns.text.joined([cast(column_at(batch, name), _string(called), problems) for called, name in named])
    pairs = zip(columns.sources, columns.kept, strict=True)
    kept = [cast(column_at(batch, source), field, problems) for source, field in pairs]
    flags = None
    if columns.deleted is not None:
        flags = cast(column_at(batch, columns.deleted), _flag(columns.deleted), problems)
    return _payload(columns, place, [ids, texts, *kept], flags, problems)


def id_column(column: pa.Array, problems: Problems) -> pa.Array:
    """A column of ids as strings."""
    return cast(column, _string("id"), problems)


def _payload(
    columns: Columns, place: Place, arrays: list[pa.Array | None], flags: pa.Array | None, problems: Problems
) -> pa.RecordBatch:
    """The payload of these columns, with each row's first problem, and with which rows are tombstones."""
    texts, kept = arrays[1], arrays[2:]
    ids = place.ids() if arrays[0] is None else arrays[0]
    dead = pa.repeat(pa.scalar(False), len(ids)) if flags is None else pc.fill_null(flags, False)
    _missing(pc.and_not(pc.is_null(texts), dead), "the text is null", problems)
    _missing(pc.is_null(ids), "the id is null", problems)
    _missing(pc.equal(ids, ""), "the id is empty", problems)
    count = len(ids)
    told: list[str | None] = [None] * count
    for index, problem in problems.items():
        told[index] = f"{place.of(index)}: {problem}"
    told_column = pa.array(told, pa.string())
    if problems:
        texts = pc.if_else(pc.is_null(told_column), texts, pa.scalar(None, pa.string()))
    chunks = pa.repeat(pa.scalar(0, pa.int32()), count)
    payload = pa.RecordBatch.from_arrays(
        [ids, chunks, texts, told_column, *kept], schema=payload_schema(list(columns.kept))
    )
    if flags is None:
        return payload
    return payload.append_column(TOMBSTONE, pc.and_(dead, pc.greater(pc.binary_length(pc.fill_null(ids, "")), 0)))


def _missing(mask: pa.Array, problem: str, problems: Problems) -> None:
    for index in pc.indices_nonzero(mask).to_pylist():
        problems.setdefault(index, problem)


def _flag(name: str) -> pa.Field:
    return pa.field(name, pa.bool_())


def _string(name: str) -> pa.Field:
    return pa.field(name, pa.string())


def _text(value: Any) -> Any:
    return str(value) if type(value) is int else value
