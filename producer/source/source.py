"""The source: its files one after the other, as batches of rows that know their place. Knows no single format."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa

from producer.source.arrow import ArrowReader
from producer.source.batch import SourceBatch
from producer.source.bytes import facts
from producer.source.columns import Columns, Wanted
from producer.source.csv import CsvReader
from producer.source.cursor import START, Cursor
from producer.source.file import FileFormat, SourceFile
from producer.source.jsonl import JsonlReader
from producer.source.parquet import ParquetReader
from producer.source.paths import list_files
from producer.source.refusal import no_rows
from producer.source.rows import TOMBSTONE
from producer.source.txt import TxtReader
from schemas.arrow import UNKNOWN, payload_schema
from schemas.errors import SourceError, UsageError
from schemas.run import SourceOptions


class _Reader(Protocol):
    """One file; `columns` is None where the file holds no row that could tell."""

    @property
    def columns(self) -> Columns | None: ...
    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]: ...
    def ids(self) -> Iterator[pa.Array]: ...


class Source:
    """The files of one source, read as one sequence of rows, the same at every reading."""

    def __init__(self, options: SourceOptions, files: list[SourceFile], kept: tuple[pa.Field, ...]) -> None:
        self.files = files
        self.schema: pa.Schema = payload_schema(list(kept))
        self.limit = options.limit
        self.has_tombstones = options.deleted_column is not None
        self._wanted = Wanted(options, kept)
        self._readers: dict[int, _Reader] = {}

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        """The rows from a place on, in bounded batches; no tombstones."""
        if start.file >= len(self.files):
            raise SourceError(
                f"the source has {len(self.files)} files, but its reading stopped in file {start.file + 1}",
                way_out="the source has changed since: start a new run",
            )
        place = start
        for number in range(start.file, len(self.files)):
            place = Cursor(number, place.row if number == start.file else 0, place.total)
            for rows in self._reader(number).batches(place.row):
                left = rows.num_rows if self.limit is None else self.limit - place.total
                if left <= 0:
                    return
                batch = self._living(rows.slice(0, left), place)
                if batch.rows.num_rows:
                    yield batch
                place = Cursor(number, place.row + rows.num_rows, place.total + batch.rows.num_rows)

    @property
    def state(self) -> str:
        """A hash over the files' names, sizes and times (in a store: tags): another one means other rows, perhaps."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.files:
            digest.update("\0".join((file.name, *map(str, facts(file)), "")).encode())
        return digest.hexdigest()

    @property
    def has_own_ids(self) -> bool:
        """Whether any row has an id of its own, and not only its position."""
        columns = [self._reader(number).columns for number in range(len(self.files))]
        return any(one is not None and one.id is not None for one in columns)

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows and tombstones, in order; reads as little as the formats allow."""
        left = self.limit
        for number in range(len(self.files)):
            for ids in self._reader(number).ids():
                yield ids.slice(0, left)
                left = None if left is None else left - len(ids)
                if left is not None and left <= 0:
                    return

    def tombstones(self) -> Iterator[pa.Array]:
        """The ids of the tombstones, in order; reads all."""
        if not self.has_tombstones:
            return
        for number in range(len(self.files)):
            for rows in self._reader(number).batches(0):
                yield rows.column("id").filter(rows.column(TOMBSTONE))

    def _living(self, rows: pa.RecordBatch, place: Cursor) -> SourceBatch:
        if not self.has_tombstones:
            return SourceBatch(rows, place)
        at = np.flatnonzero(~rows.column(TOMBSTONE).to_numpy(zero_copy_only=False))
        ends = np.column_stack([place.row + at + 1, np.zeros_like(at)])
        return SourceBatch(rows.select(self.schema.names).take(pa.array(at)), place, ends=ends)

    def _reader(self, number: int) -> _Reader:
        """The reader of one file, kept: what its columns are is found out once."""
        if number not in self._readers:
            self._readers[number] = self._checked(self.files[number])
        return self._readers[number]

    def _checked(self, file: SourceFile) -> _Reader:
        reader = _open(file, self._wanted)
        if reader.columns is not None and reader.columns.id is None:
            twin = next((one for one in self.files if one.name == file.name and one != file), None)
            if twin:
                raise SourceError(
                    f"{file.path} and {twin.path} would give the same ids, {file.name}#0 and on",
                    way_out="give the folder above both, or an --id-column",
                )
        return reader


def open_source(options: SourceOptions) -> Source:
    """The source of these options; its kept columns have the types of the first file that has rows (not tombstones)."""
    if options.deleted_column is not None and options.limit is not None:
        raise UsageError(
            "--limit and --deleted-column do not go together: tombstones behind the limit would be passed over",
            way_out="leave one of them out",
        )
    files = list_files(options.paths, options.format)
    told = (columns.kept for file in files if (columns := _open(file, Wanted(options)).columns) is not None)
    first = next(told, None)
    if first is None:
        raise no_rows(options.paths)
    return Source(options, files, first if _is_known(first) else next(filter(_is_known, told), first))


def _is_known(kept: tuple[pa.Field, ...]) -> bool:
    return all(field.metadata != UNKNOWN for field in kept)


def _open(file: SourceFile, wanted: Wanted) -> _Reader:
    try:
        return _READERS[file.format](file, wanted)
    except UnicodeDecodeError:
        raise SourceError(
            f"{file.path}: the name of a column is not valid UTF-8", way_out="name the columns anew"
        ) from None


_READERS: dict[FileFormat, Callable[[SourceFile, Wanted], _Reader]] = {
    "parquet": ParquetReader,
    "jsonl": JsonlReader,
    "csv": CsvReader,
    "txt": TxtReader,
    "arrow": ArrowReader,
}
