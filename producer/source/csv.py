"""CSV with a header line, which also says what separates the fields (separator.py); quoted ones may hold newlines.

All fields are texts but the kept ones. CSV has no null: an empty text is taken for one, since most programs write a
missing value so.
"""

import csv
import io
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from producer.source.columns import Columns, Wanted
from producer.source.fields import VALUE_OF, boolean, found_type
from producer.source.file import SourceFile
from producer.source.lines import SAMPLE_ROWS
from producer.source.rows import Place, from_records
from producer.source.separator import separator_of
from producer.source.streams import opened
from producer.source.values import Problems
from schemas.errors import SourceError
from schemas.text import is_unicode

_BATCH_ROWS = 2_048
_BATCH_CHARACTERS = 4 << 20

# The module's own limit of 128 KiB a field is one for tables, not for texts.
csv.field_size_limit(1 << 30)


class _Row(NamedTuple):
    line: int
    fields: list[str]


class CsvReader:
    """One CSV file."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        self.file = file
        self._separator = separator_of(file)
        rows = self._rows()
        self._header = next(rows).fields
        if not all(map(is_unicode, self._header)):
            raise SourceError(f"{file.path}: the header line is not valid UTF-8", way_out="iconv -t UTF-8")
        sample = [row.fields for row in itertools.islice(rows, SAMPLE_ROWS)] if wanted.typed else []
        types = {name: found_type([fields[at] for fields in sample]) for at, name in enumerate(self._header)}
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
            record[field.name] = VALUE_OF.get(field.type, str)(record[field.name])
        if self.columns.deleted is not None:
            record[self.columns.deleted] = boolean(record[self.columns.deleted])
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
                io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=""),
                delimiter=self._separator,
                strict=True,
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
