"""What the fields of a CSV file say: of which type a column is, and its values. Knows no file."""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

#: What each type's values look like; "007" is a text, since a number would lose its zeros.
_LOOKS: tuple[tuple[pa.DataType, re.Pattern[str]], ...] = (
    (pa.int64(), re.compile(r"-?(0|[1-9]\d{0,17})")),
    (pa.float64(), re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")),
    (pa.bool_(), re.compile(r"true|false", re.IGNORECASE)),
)


def found_type(values: list[str]) -> pa.DataType | None:
    """The one type that all values look like, None without any; an empty field says nothing."""
    told = [value for value in values if value]
    for type_, look in _LOOKS:
        if told and all(look.fullmatch(value) for value in told):
            return type_
    return pa.string() if told else None


def _number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def value_of(field: str) -> Any:
        try:
            return kind(field) if field else None
        except ValueError:
            return field

    return value_of


def boolean(field: Any) -> Any:
    """A field that is to be true, false or empty; a kept column has been through here already."""
    return {"true": True, "false": False, "": None}.get(str(field).lower(), field)


VALUE_OF: dict[pa.DataType, Callable[[str], Any]] = {
    pa.int64(): _number(int),
    pa.float64(): _number(float),
    pa.bool_(): boolean,
}
