"""Plain text: every line is a row, also an empty one; a row's id is its position."""

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from producer.source.columns import Columns, Wanted
from producer.source.file import SourceFile
from producer.source.lines import Line, line_batches, numbered_lines
from producer.source.rows import Place, from_records
from producer.source.template import Template
from producer.source.values import Problems
from schemas.errors import SourceError


class TxtReader:
    """One file of plain text."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        options = wanted.options
        named = [*filter(None, (options.id_column, options.text_column, options.deleted_column)), *options.keep]
        if named:
            raise SourceError(
                f"{file.path} is plain text and has no column {named[0]}", way_out="use JSON lines, CSV or Parquet"
            )
        self.file = file
        self.columns = Columns(None, Template.of("text"), ())

    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start_row` on, in payload schema."""
        row = start_row
        for lines in line_batches(self._lines(start_row)):
            problems: Problems = {}
            records = [_record(index, line, problems) for index, line in enumerate(lines)]
            place = Place(self.file.name, "line", [line.number for line in lines], row)
            yield from_records(records, self.columns, place, problems)
            row += len(lines)

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows."""
        return (batch.column("id") for batch in self.batches(0))

    def _lines(self, start_row: int) -> Iterator[Line]:
        return itertools.islice(numbered_lines(self.file), start_row, None)


def _record(index: int, line: Line, problems: Problems) -> dict[str, Any]:
    try:
        return {"text": line.data.decode()}
    except UnicodeDecodeError:
        problems[index] = "the text is not valid UTF-8"
        return {"text": None}
