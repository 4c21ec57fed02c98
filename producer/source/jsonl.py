"""JSON lines: one object a line. Blank lines are no rows; a broken line refuses the whole source."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from producer.source.columns import Columns, Wanted
from producer.source.file import SourceFile
from producer.source.lines import Line, found_schema, line_batches, numbered_lines
from producer.source.refusal import JSON_ARRAY
from producer.source.rows import Place, from_records
from producer.source.values import KINDS, Problems
from schemas.errors import SourceError
from schemas.text import is_unicode


class JsonlReader:
    """One file of JSON lines; `columns` is None where it holds no row."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        self.file = file
        lines = itertools.chain.from_iterable(line_batches(self._lines(0)))
        records = (self._parse(line)[0] for line in lines)
        flag = wanted.options.deleted_column
        schema = found_schema(file.path, records, typed=wanted.typed, inside=wanted.names, flag=flag)
        self.columns: Columns | None = wanted.resolve(file.path, schema) if schema.names else None

    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start_row` on, in payload schema; lines before it are not parsed."""
        row = start_row
        for lines in line_batches(self._lines(start_row)):
            records, problems = self._records(lines)
            if self.columns is not None:
                place = Place(self.file.name, "line", [line.number for line in lines], row)
                yield from_records(records, self.columns, place, problems)
            row += len(lines)

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows; every line is parsed, so that a broken one is found."""
        return (batch.column("id") for batch in self.batches(0))

    def _lines(self, start_row: int) -> Iterator[Line]:
        full = (line for line in numbered_lines(self.file) if line.data.strip())
        return itertools.islice(full, start_row, None)

    def _records(self, lines: list[Line]) -> tuple[list[dict[str, Any]], Problems]:
        """The lines' objects; line by line only where one of them is not plain JSON."""
        problems: Problems = {}
        records = _plain_objects(lines)
        if records is not None:
            return records, problems
        records = []
        for index, line in enumerate(lines):
            record, problem = self._parse(line)
            records.append(record)
            if problem:
                problems[index] = problem
        return records, problems

    def _parse(self, line: Line) -> tuple[dict[str, Any], str]:
        """The line's object and, where its text is not Unicode, what is wrong with it."""
        problem = ""
        try:
            record = orjson.loads(line.data)
        except orjson.JSONDecodeError as error:
            record, problem = self._second_reading(line, error)
        if type(record) is not dict:
            raise self._broken(line, f"not an object but {KINDS.get(type(record), 'null')}")
        return record, problem

    def _second_reading(self, line: Line, error: Exception) -> tuple[Any, str]:
        """Tell a text that is no Unicode, which is the row's problem, from a line that is no JSON."""
        try:
            record = json.loads(line.data.decode(errors="surrogateescape"))
        except (ValueError, RecursionError):
            raise self._broken(line, str(error)) from None
        if type(record) is not dict or is_unicode(json.dumps(record, ensure_ascii=False)):
            raise self._broken(line, str(error))
        # Enough to name the row among the failed ones.
        clean = {key: value for key, value in record.items() if _is_plain(key, value)}
        return clean, "the line is not valid UTF-8"

    def _broken(self, line: Line, why: str) -> SourceError:
        if line.data.lstrip().startswith(b"["):
            return SourceError(
                f"{self.file.path} line {line.number} begins an array; JSONL has an object a line",
                way_out=JSON_ARRAY.format(path=self.file.path),
            )
        place = f"{self.file.path} line {line.number}"
        return SourceError(f"{place} is broken JSON: {why}", way_out="repair the line; nothing was enqueued")


def _is_plain(key: str, value: Any) -> bool:
    return is_unicode(key) and (type(value) is int or (type(value) is str and is_unicode(value)))


def _plain_objects(lines: list[Line]) -> list[dict[str, Any]] | None:
    try:
        records = [orjson.loads(line.data) for line in lines]
    except orjson.JSONDecodeError:
        return None
    return records if all(type(record) is dict for record in records) else None
