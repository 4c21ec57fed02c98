"""From parsed values to a column, strictly: no number is cut, no text is taken apart. Knows no file."""

from typing import Any

import pyarrow as pa
from pyarrow import types

Problems = dict[int, str]

_NONE = type(None)
#: What a parsed value is called in a message, which must not show it.
#: What a parsed value is called in a message, which must not show it.
KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
#: What Arrow would convert on its own (1.5 to 1, True to 1.0, a text to a list of letters) is not in here.
_PLAIN: dict[pa.DataType, frozenset[type]] = {
    pa.string(): frozenset({str, _NONE}),
    pa.bool_(): frozenset({bool, _NONE}),
    pa.int64(): frozenset({int, _NONE}),
    pa.float64(): frozenset({int, float, _NONE}),
}
_UNFIT = (pa.ArrowException, ValueError, TypeError, OverflowError)


def column_of(values: list[Any], field: pa.Field, problems: Problems) -> pa.Array:
    """The values as a column of the field's type; one that is of another type is its row's problem."""
    if set(map(type, values)) <= _PLAIN.get(field.type, frozenset()):
        try:
            return pa.array(values, field.type)
        except _UNFIT:
            pass  # Not Unicode, or too large a number: the rows are found one by one.
    fitting = [value if _fits(value, field.type) else None for value in values]
    for index, (value, fit) in enumerate(zip(values, fitting, strict=True)):
        if fit is None and value is not None:
            problems.setdefault(index, _unfit(value, field))
    return pa.array(fitting, field.type)


def _fits(value: Any, type_: pa.DataType) -> bool:
    if not _is_of(value, type_):
        return False
    try:
        pa.array([value], type_)
    except _UNFIT:
        return False
    return True


def _is_of(value: Any, type_: pa.DataType) -> bool:
    """Whether a value has the type's own kind, all the way down."""
    if value is None:
        return True
    if types.is_list(type_):
        return type(value) is list and all(_is_of(one, type_.value_type) for one in value)
    if types.is_struct(type_):
        inner = {field.name: field.type for field in type_}
        return type(value) is dict and all(key in inner and _is_of(one, inner[key]) for key, one in value.items())
    return type(value) in _PLAIN.get(type_, _PLAIN[_widest(type_)])


def _widest(type_: pa.DataType) -> pa.DataType:
    """The type that parsed values have where another file's columns made the kept type a narrower one."""
    if types.is_integer(type_):
        return pa.int64()
    return pa.float64() if types.is_floating(type_) else pa.string()


def _unfit(value: Any, field: pa.Field) -> str:
    if isinstance(value, str) and types.is_string(field.type):
        return f"the {field.name} is not valid UTF-8"
    wanted = "a text" if types.is_string(field.type) else str(field.type)
    return f"the {field.name} is {KINDS.get(type(value), type(value).__name__)}, not {wanted}"
