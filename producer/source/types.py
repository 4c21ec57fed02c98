"""Which Arrow types a kept column may have in a Delta table, and what the others become. Knows no file."""

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

_SAME: tuple[Callable[[pa.DataType], bool], ...] = (
    types.is_signed_integer,
    types.is_float32,
    types.is_float64,
    types.is_boolean,
    types.is_string,
    types.is_binary,
    types.is_date32,
    lambda given: bool(types.is_decimal128(given) and given.scale >= 0),
)

_BECOMES: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
    (types.is_uint8, pa.int16()),
    (types.is_uint16, pa.int32()),
    (types.is_uint32, pa.int64()),
    (types.is_uint64, pa.int64()),
    (types.is_float16, pa.float32()),
    (types.is_large_string, pa.string()),
    (types.is_string_view, pa.string()),
    (types.is_large_binary, pa.binary()),
    (types.is_binary_view, pa.binary()),
    (types.is_fixed_size_binary, pa.binary()),
    (types.is_date64, pa.date32()),
)


def delta_type(given: pa.DataType) -> pa.DataType | None:
    """The type a column of this type has in the table, or None where a table cannot hold it."""
    if any(is_same(given) for is_same in _SAME):
        return given
    for is_given, becomes in _BECOMES:
        if is_given(given):
            return becomes
    if types.is_timestamp(given):
        return pa.timestamp("us", tz="UTC" if given.tz else None)
    if types.is_dictionary(given):
        return delta_type(given.value_type)
    return _nested(given)


def _nested(given: pa.DataType) -> pa.DataType | None:
    """Lists, structs and maps of what a table can hold."""
    if types.is_list(given) or types.is_large_list(given) or types.is_fixed_size_list(given):
        element = delta_type(given.value_type)
        return None if element is None else pa.list_(pa.field("element", element))
    if types.is_struct(given):
        inner = [(field.name, delta_type(field.type)) for field in given]
        return None if not inner or any(type_ is None for _, type_ in inner) else pa.struct(inner)
    if types.is_map(given):
        key, item = delta_type(given.key_type), delta_type(given.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    return None


def is_text(given: pa.DataType) -> bool:
    """Whether every value of the type is a text."""
    if types.is_dictionary(given):
        return is_text(given.value_type)
    return bool(types.is_string(given) or types.is_large_string(given) or types.is_string_view(given))


def alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two files' types of one column can become one without changing what a value is."""
    both_numbers = any(is_(one) and is_(other) for is_ in (types.is_integer, types.is_floating))
    return bool(one == other or both_numbers)
