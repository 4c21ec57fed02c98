"""Arrow files, streams or with an index: what `datasets` keeps, in its cache and in folders of `save_to_disk`."""

from collections.abc import Iterator

import pyarrow as pa

from producer.source.bytes import anywhere
from producer.source.columns import Columns, Wanted
from producer.source.file import SourceFile
from producer.source.nested import column_at
from producer.source.rows import Place, from_columns, id_column
from producer.source.values import Problems
from schemas.errors import SourceError

_BATCH_ROWS = 2_048
_INDEXED = b"ARROW1"


class ArrowReader:
    """One Arrow file: what is not needed is not read."""

    def __init__(self, file: SourceFile, wanted: Wanted) -> None:
        self.file = file
        try:
            with anywhere(file) as data:
                self._indexed = data.read(len(_INDEXED)) == _INDEXED
                schema = self._open(data, None).schema
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from error
        self.columns: Columns = wanted.resolve(file.path, schema)
        self._fields = [schema.get_field_index(name) for name in schema.names if _is_needed(name, self.columns.names)]

    def batches(self, start_row: int) -> Iterator[pa.RecordBatch]:
        """The rows from `start_row` on, in payload schema."""
        row = start_row
        for batch in self._read(start_row):
            place = Place(self.file.name, "row", range(row, row + batch.num_rows), row)
            yield from_columns(batch, self.columns, place)
            row += batch.num_rows

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows; reads nothing else."""
        row = 0
        for batch in self._read(0):
            problems: Problems = {}
            if self.columns.id is None:
                yield Place(self.file.name, "row", range(row, row + batch.num_rows), row).ids()
            else:
                yield id_column(column_at(batch, self.columns.id), problems)
            row += batch.num_rows

    def _read(self, start_row: int) -> Iterator[pa.RecordBatch]:
        skip = start_row
        try:
            with anywhere(self.file) as data:
                for batch in self._stored(data):
                    for first in range(skip, batch.num_rows, _BATCH_ROWS):
                        yield batch.slice(first, _BATCH_ROWS)
                    skip = max(0, skip - batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.file, error) from error

    def _stored(self, data: pa.NativeFile) -> Iterator[pa.RecordBatch]:
        """The batches as they lie in the file, of any size; each is checked before anybody looks into it."""
        reader = self._open(data, self._fields)
        if self._indexed:
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            batches = iter(reader)
        for batch in batches:
            for column in batch.columns:
                _check_sound(column)
            yield batch

    def _open(self, data: pa.NativeFile, fields: list[int] | None) -> pa.RecordBatchReader:
        data.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        open_ = pa.ipc.open_file if self._indexed else pa.ipc.open_stream
        return open_(data, options=options)


def _check_sound(column: pa.Array) -> None:
    """Raise `ArrowInvalid` for a column that leads out of itself; texts that are not UTF-8 are for later, by rows."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        column.view(_as_bytes(column.type)).validate(full=True)


def _as_bytes(type_: pa.DataType) -> pa.DataType:
    """The type with texts as plain bytes, of the same layout."""
    if pa.types.is_struct(type_):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in type_])
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        listed = pa.list_ if pa.types.is_list(type_) else pa.large_list
        return listed(type_.value_field.with_type(_as_bytes(type_.value_type)))
    return _BYTES.get(type_, type_)


_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}


def _is_needed(column: str, names: list[str]) -> bool:
    return any(name == column or name.startswith(f"{column}.") for name in names)


def _unreadable(file: SourceFile, error: Exception) -> SourceError:
    return SourceError(f"cannot read {file.path} as Arrow: {error}", way_out="replace or remove the file")
