"""Parquet files: only the needed columns, and row groups before the start are skipped by their metadata."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from producer.source.bytes import anywhere, buffer_bytes
from producer.source.columns import Columns, Wanted
from producer.source.file import InTable, SourceFile
from producer.source.nested import column_at
from producer.source.rows import Place, from_columns, id_column
from producer.source.values import Problems
from schemas.errors import SourceError

_BATCH_ROWS = 2_048


class ParquetReader:
    """One Parquet file."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        self.file = file
        with self._open() as parquet:
            schema = parquet.schema_arrow
            self.row_count: int = parquet.metadata.num_rows
        self.columns: Columns = wanted.resolve(file.path, _whole(schema, file.table))

    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start_row` on, in payload schema."""
        row = start_row
        for batch in self._read(self.columns.names, start_row):
            place = Place(self.file.name, "row", range(row, row + batch.num_rows), row)
            yield from_columns(batch, self.columns, place)
            row += batch.num_rows

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows; reads nothing else, and nothing at all where positions are the ids."""
        if self.columns.id is None:
            for row in range(0, self.row_count, _BATCH_ROWS):
                yield Place(self.file.name, "row", range(min(_BATCH_ROWS, self.row_count - row)), row).ids()
            return
        for batch in self._read([self.columns.id], 0):
            problems: Problems = {}
            yield id_column(column_at(batch, self.columns.id), problems)

    def _read(self, names: list[str], start_row: int) -> Iterator[pa.RecordBatch]:
        try:
            with self._open() as parquet:
                groups, skip = _groups_from(parquet.metadata, start_row)
                for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=groups, columns=names):
                    if skip < batch.num_rows:
                        yield _completed(batch.slice(skip), names, self.file.table)
                    skip = max(0, skip - batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.file, error) from error

    def _open(self) -> pq.ParquetFile:
        try:
            source = self.file.path if self.file.stored is None else anywhere(self.file)
            # Column chunks are read in pieces, not whole: memory then does not follow the row groups.
            return pq.ParquetFile(source, pre_buffer=False, buffer_size=buffer_bytes(self.file))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.file, error) from error


def _whole(schema: pa.Schema, table: InTable | None) -> pa.Schema:
    """The columns of the file, and those that its table has beside them."""
    for field in table.schema if table else ():
        if field.name not in schema.names:
            schema = schema.append(field)
    return schema


def _completed(batch: pa.RecordBatch, names: list[str], table: InTable | None) -> pa.RecordBatch:
    """The batch with the columns that are not in the file: one value for all rows, null where the file is older."""
    for name in names:
        top = name if table is None or name in table.schema.names else name.split(".")[0]
        if table is not None and top not in batch.schema.names and top in table.schema.names:
            field = table.schema.field(top)
            value = table.values.get(top, pa.scalar(None, field.type))
            batch = batch.append_column(field, pa.repeat(value, batch.num_rows))
    return batch


def _groups_from(metadata: pq.FileMetaData, start_row: int) -> tuple[list[int], int]:
    """The row groups to read, and the rows of the first of them to leave out."""
    first = 0
    while first < metadata.num_row_groups and start_row >= metadata.row_group(first).num_rows:
        start_row -= metadata.row_group(first).num_rows
        first += 1
    return list(range(first, metadata.num_row_groups)), start_row


def _unreadable(file: SourceFile, error: Exception) -> SourceError:
    return SourceError(f"cannot read {file.path} as Parquet: {error}", way_out="replace or remove the file")
