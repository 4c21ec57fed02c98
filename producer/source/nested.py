"""Values inside objects and structs, by a dotted path: `meta.title`. A column of exactly that name comes first."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def with_nested(available: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """The schema, with a field more for each of the names that leads into one of its structs."""
    for name in names:
        found = None if name in available.names else _inside(available, name)
        if found is not None:
            available = available.append(pa.field(name, found))
    return available


def column_at(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column of a name; null where a struct on its path is null."""
    if name in batch.schema.names:
        return batch.column(name)
    first, *rest = name.split(".")
    return pc.struct_field(batch.column(first), rest)


def value_at(record: dict[str, Any], name: str) -> Any:
    """The value of a name; None where it, or an object on its path, is not there."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for step in name.split("."):
        value = value.get(step) if type(value) is dict else None
    return value


def _inside(available: pa.Schema, name: str) -> pa.DataType | None:
    first, *rest = name.split(".")
    if available.names.count(first) != 1:
        return None
    found = available.field(first).type
    for step in rest:
        place = found.get_field_index(step) if pa.types.is_struct(found) else -1
        if place < 0:
            return None
        found = found.field(place).type
    return found
