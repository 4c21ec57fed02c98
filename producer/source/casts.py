"""From a file's columns to the table's types; a value that cannot be converted is its row's problem. Knows no file."""

from collections.abc import Callable

import pyarrow as pa

from producer.source.values import Problems


def cast(column: pa.Array, field: pa.Field, problems: Problems) -> pa.Array:
    """A column in the field's type; nanoseconds are cut to microseconds, nothing else may lose anything."""
    unsafe = pa.types.is_timestamp(column.type) and column.type.unit == "ns"

    def convert(some: pa.Array) -> pa.Array:
        return some.cast(field.type, safe=not unsafe)

    try:
        converted = convert(column)
    except pa.ArrowException:
        converted = _one_by_one(column, convert, field, problems)
    try:
        converted.validate(full=True)
    except pa.ArrowException:
        return _one_by_one(converted, _validated, field, problems)
    return converted


def _validated(column: pa.Array) -> pa.Array:
    # A slice still validates the whole buffer it points into, so the one value is copied out first.
    alone = column.take(pa.array([0]))
    alone.validate(full=True)
    return alone


def _one_by_one(
    column: pa.Array, convert: Callable[[pa.Array], pa.Array], field: pa.Field, problems: Problems
) -> pa.Array:
    """The column converted value by value; those that cannot be are null, and their rows' problem."""
    called = "UTF-8" if pa.types.is_string(field.type) else str(field.type)
    values = []
    for index in range(len(column)):
        try:
            values.append(convert(column.slice(index, 1)))
        except pa.ArrowException:
            problems.setdefault(index, f"the {field.name} is not valid {called}")
            values.append(pa.nulls(1, field.type))
    return pa.concat_arrays(values)
