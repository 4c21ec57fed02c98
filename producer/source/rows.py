"""From what a reader found to a batch in the payload's schema. Knows values and their places, not formats.

A row that cannot be embedded keeps its place: its text is null and its `problem` says what is wrong and
where, so that it ends up among the failed rows and its neighbours do not suffer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from producer.source.columns import Columns
from schemas.arrow import payload_schema

Problems = dict[int, str]

_UNFIT = (pa.ArrowException, ValueError, TypeError, OverflowError)
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


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
        values = [_id(record.get(columns.id)) for record in records]
        ids = _strict(values, pa.field("id", pa.string()), problems)
    texts = _strict([record.get(columns.text) for record in records], pa.field("text", pa.string()), problems)
    kept = [_strict([record.get(field.name) for record in records], field, problems) for field in columns.kept]
    return _payload(columns, place, [ids, texts, *kept], problems)


def from_columns(batch: pa.RecordBatch, columns: Columns, place: Place) -> pa.RecordBatch:
    """A batch of columns; a value that does not fit its type in the table is the row's problem."""
    problems: Problems = {}
    ids = None if columns.id is None else id_column(batch.column(columns.id), problems)
    texts = _valid(_cast(batch.column(columns.text), pa.field("text", pa.string()), problems), "text", problems)
    kept = [_cast(batch.column(field.name), field, problems) for field in columns.kept]
    kept = [_valid(column, field.name, problems) for column, field in zip(kept, columns.kept, strict=True)]
    return _payload(columns, place, [ids, texts, *kept], problems)


def id_column(column: pa.Array, problems: Problems) -> pa.Array:
    """A column of ids as strings."""
    return _valid(_cast(column, pa.field("id", pa.string()), problems), "id", problems)


def _payload(columns: Columns, place: Place, arrays: list[pa.Array | None], problems: Problems) -> pa.RecordBatch:
    """The payload of these columns, with each row's first problem."""
    texts, kept = arrays[1], arrays[2:]
    ids = place.ids() if arrays[0] is None else arrays[0]
    _missing(pc.is_null(texts), "the text is null", problems)
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
    schema = payload_schema(list(columns.kept))
    return pa.RecordBatch.from_arrays([ids, chunks, texts, told_column, *kept], schema=schema)


def _missing(mask: pa.Array, problem: str, problems: Problems) -> None:
    for index in pc.indices_nonzero(mask).to_pylist():
        problems.setdefault(index, problem)


def _id(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _strict(values: list[Any], field: pa.Field, problems: Problems) -> pa.Array:
    """The values as a column of the field's type, with no conversion that changes what a value is."""
    try:
        return pa.array(values, field.type)
    except _UNFIT:
        fitting = [value if _fits(value, field.type) else None for value in values]
    for index, (value, fit) in enumerate(zip(values, fitting, strict=True)):
        if fit is None and value is not None:
            problems.setdefault(index, _unfit(value, field))
    return pa.array(fitting, field.type)


def _fits(value: Any, type_: pa.DataType) -> bool:
    try:
        pa.array([value], type_)
    except _UNFIT:
        return False
    return True


def _unfit(value: Any, field: pa.Field) -> str:
    if isinstance(value, str) and pa.types.is_string(field.type):
        return f"the {field.name} is not valid UTF-8"
    wanted = "a text" if pa.types.is_string(field.type) else str(field.type)
    return f"the {field.name} is {_KINDS.get(type(value), type(value).__name__)}, not {wanted}"


def _cast(column: pa.Array, field: pa.Field, problems: Problems) -> pa.Array:
    """A column in the field's type; nanoseconds are cut to microseconds, nothing else may lose anything."""
    safe = not pa.types.is_timestamp(column.type)
    try:
        return column.cast(field.type, safe=safe)
    except pa.ArrowException:
        return _one_by_one(column, lambda one: one.cast(field.type, safe=safe), field, problems)


def _valid(column: pa.Array, name: str, problems: Problems) -> pa.Array:
    """The column, with values that are not valid UTF-8 taken out."""
    try:
        column.validate(full=True)
    except pa.ArrowException:
        return _one_by_one(column, _validated, pa.field(name, column.type), problems)
    return column


def _validated(column: pa.Array) -> pa.Array:
    # A slice still validates the whole buffer it points into, so the one value is copied out first.
    alone = column.take(pa.array([0]))
    alone.validate(full=True)
    return alone


def _one_by_one(
    column: pa.Array, convert: Callable[[pa.Array], pa.Array], field: pa.Field, problems: Problems
) -> pa.Array:
    """The column converted value by value; those that cannot be are null, and their rows' problem."""
    values = []
    for index in range(len(column)):
        try:
            values.append(convert(column.slice(index, 1)))
        except pa.ArrowException:
            problems.setdefault(index, f"the {field.name} is not valid {_called(field.type)}")
            values.append(pa.nulls(1, field.type))
    return pa.concat_arrays(values)


def _called(type_: pa.DataType) -> str:
    return "UTF-8" if pa.types.is_string(type_) else str(type_)
