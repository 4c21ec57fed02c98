"""The rows of one file of a table, in pieces of bounded size. Knows no Delta log."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import TableError
from schemas.files import opened


def batches_of(path: str, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Up to so many rows at once; of `columns` those that the file has. A file that is unreadable is a TableError."""
    wanted = None if columns is None else list(columns)
    try:
        with opened(path) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield from parquet.iter_batches(rows, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"cannot read {path}, a file of the table: {error}", way_out="vecmill verify") from error
