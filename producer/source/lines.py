"""What the line formats share: numbered lines, batches of bounded size, and types found in the first rows."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from producer.source.file import SourceFile
from producer.source.nested import value_at
from producer.source.streams import opened
from producer.source.types import delta_type
from schemas.arrow import UNKNOWN
from schemas.errors import SourceError

_BATCH_ROWS = 2_048
_BATCH_BYTES = 4 << 20
#: The types of kept columns are those of this many first rows.
SAMPLE_ROWS = 1_000


class Line(NamedTuple):
    """One line with its number, from 1; without its end."""

    number: int
    data: bytes


def numbered_lines(file: SourceFile) -> Iterator[Line]:
    """The lines of a file."""
    with opened(file) as stream:
        for number, data in enumerate(stream, start=1):
            yield Line(number, data.rstrip(b"\r\n"))


def line_batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in lists of bounded rows and bytes."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.data)
        if len(batch) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def found_schema(
    path: str, records: Iterable[dict[str, Any]], *, typed: Iterable[str], inside: Iterable[str], flag: str | None
) -> pa.Schema:
    """The columns of the first rows, and those of the names `inside` that lead into their objects.

    Only the columns in `typed` have their types looked for, others are texts. The column `flag` may be on later rows;
    where all rows are tombstones, the types of the others are unknown (`schemas.arrow.UNKNOWN`).
    """
    records = iter(records)
    sample = list(itertools.islice(records, SAMPLE_ROWS))
    if flag and all(value_at(record, flag) is True for record in sample):
        living = (record for record in records if value_at(record, flag) is not True)
        sample += itertools.islice(living, SAMPLE_ROWS)
    names = dict.fromkeys(name for record in sample for name in record)
    alone = False
    names |= dict.fromkeys(name for name in inside if any(value_at(record, name) is not None for record in sample))
    if flag and sample:
        names |= {flag: None}
        alone = all(value_at(record, flag) is True for record in sample)
        names |= dict.fromkeys(inside if alone else ())
    wanted = set(typed)

    def type_of(name: str) -> pa.DataType:
        unknown = pa.bool_() if name == flag else pa.string()
        if name not in wanted:
            return unknown
        return _found_type(path, name, [value_at(record, name) for record in sample]) or unknown

    return pa.schema([pa.field(name, type_of(name), metadata=UNKNOWN if alone else None) for name in names])


def _found_type(path: str, name: str, values: list[Any]) -> pa.DataType | None:
    """The one type of the first values; None where there are none."""
    try:
        found = pa.array(values).type
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        # What Arrow says of it shows a value.
        raise SourceError(
            f"{path}: column {name} has values of several types, or too large numbers", way_out="leave it out"
        ) from None
    return None if pa.types.is_null(found) else delta_type(found) or found
