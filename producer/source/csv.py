"""CSV with a header line; quoted fields may hold newlines. All fields are texts but the kept ones.

CSV has no null: an empty text is taken for one, since most programs write a missing value so.
"""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from producer.source.columns import Columns, Wanted
from producer.source.file import SourceFile
from producer.source.lines import SAMPLE_ROWS
from producer.source.rows import Place, from_records
from producer.source.streams import opened
from producer.source.values import Problems
from schemas.errors import SourceError
from schemas.text import is_unicode

_BATCH_ROWS = 2_048
_BATCH_CHARACTERS = 4 << 20

# The module's own limit of 128 KiB a field is one for tables, not for texts.
csv.field_size_limit(1 << 30)

#: What each type's values look like; "007" is a text, since a number would lose its zeros.
_LOOKS: tuple[tuple[pa.DataType, re.Pattern[str]], ...] = (
    (pa.int64(), re.compile(r"-?(0|[1-9]\d{0,17})")),
    (pa.float64(), re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")),
    (pa.bool_(), re.compile(r"true|false", re.IGNORECASE)),
)


class _Row(NamedTuple):
    line: int
    fields: list[str]


class CsvReader:
    """One CSV file."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        self.file = file
        rows = self._rows()
        self._header = next(rows).fields
        if not all(map(is_unicode, self._header)):
            raise SourceError(f"{file.path}: the header line is not valid UTF-8", way_out="iconv -t UTF-8")
        sample = [row.fields for row in itertools.islice(rows, SAMPLE_ROWS)] if wanted.typed else []
        types = {name: _found_type([fields[at] for fields in sample]) for at, name in enumerate(self._header)}
        unknown = {name: pa.string() for name in types} | {wanted.options.deleted_column: pa.bool_()}
        schema = [(name, (name in wanted.typed and types[name]) or unknown[name]) for name in self._header]
        self.columns: Columns = wanted.resolve(file.path, pa.schema(schema))

    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start_row` on, in payload schema."""
        row = start_row
        for rows in _batches(itertools.islice(self._rows(), start_row + 1, None)):
            problems: Problems = {}
            records = [self._record(fields) for _, fields in rows]
            place = Place(self.file.name, "line", [line for line, _ in rows], row)
            yield from_records(records, self.columns, place, problems)
            row += len(rows)

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows; every row is parsed, so that a broken one is found."""
        return (batch.column("id") for batch in self.batches(0))

    def _record(self, fields: list[str]) -> dict[str, Any]:
        record: dict[str, Any] = dict(zip(self._header, fields, strict=True))
        for field in self.columns.kept:
            record[field.name] = _VALUE_OF.get(field.type, str)(record[field.name])
        if self.columns.deleted is not None:
            record[self.columns.deleted] = _boolean(record[self.columns.deleted])
        for name in self.columns.text.columns:
            record[name] = record[name] or None
        return record

    def _rows(self) -> Iterator[_Row]:
        """The header and every row after it, with the line it begins in; blank lines are no rows."""
        width = 0
        line = 1
        with opened(self.file) as stream:
            # surrogateescape: a field that is not UTF-8 is its row's problem, not the file's.
            reader = csv.reader(
                io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=""), strict=True
            )
            try:
                for fields in reader:
                    if fields:
                        width = width or len(fields)
                        self._check_width(line, len(fields), width)
                        yield _Row(line, fields)
                    line = reader.line_num + 1
            except csv.Error as error:
                raise self._broken(line, str(error)) from None
        if not width:
            raise SourceError(f"{self.file.path} has no header line", way_out="the first line names the columns")

    def _check_width(self, line: int, found: int, header: int) -> None:
        if found != header:
            raise self._broken(line, f"{found} fields where the header has {header}")

    def _broken(self, line: int, why: str) -> SourceError:
        place = f"{self.file.path} line {line}"
        return SourceError(f"{place} is broken CSV: {why}", way_out="repair the line; nothing was enqueued")


def _batches(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(map(len, row.fields))
        if len(batch) >= _BATCH_ROWS or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _found_type(values: list[str]) -> pa.DataType | None:
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


def _boolean(field: Any) -> Any:
    # A kept column has been through here already.
    return {"true": True, "false": False, "": None}.get(str(field).lower(), field)


_VALUE_OF: dict[pa.DataType, Callable[[str], Any]] = {
    pa.int64(): _number(int),
    pa.float64(): _number(float),
    pa.bool_(): _boolean,
}
