"""The keys of files and parts of a table, streamed. Reads no vectors."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from producer.bits import Bits
from producer.join import KEYS, placed
from producer.table.batches import batches_of
from producer.table.log import LiveFile
from schemas.files import opened

_BATCH_ROWS = 65_536
_COLUMNS = ("id", "chunk", "text_hash", "start")


def keys_of(files: Iterable[LiveFile], *, only: Bits | None = None, place: bool = True) -> Iterator[pa.RecordBatch]:
    """The keys of all rows of some files, numbered through; or only those whose numbers are in a set.

    Without `place` a chunk's hash is that of its text alone.
    """
    first = 0
    for file in files:
        for batch in _batches(file.path):
            at = np.arange(first, first + batch.num_rows, dtype=np.int64)
            hashes = placed(batch, batch.column("text_hash")) if place else batch.column("text_hash")
            columns = [pa.array(at), batch.column("id"), batch.column("chunk"), hashes]
            keys = pa.RecordBatch.from_arrays(columns, schema=KEYS)
            yield keys if only is None else keys.take(pa.array(only.among(first, batch.num_rows)))
            first += batch.num_rows


def count_rows(file: LiveFile) -> int:
    """What the log says, else the file."""
    return rows_in(file.path) if file.rows is None else file.rows


def rows_in(path: str) -> int:
    """What a file's footer says."""
    with opened(path) as stream:
        return int(pq.read_metadata(stream).num_rows)


def _batches(path: str) -> Iterator[pa.RecordBatch]:
    for batch in batches_of(path, _BATCH_ROWS, _COLUMNS):
        # Of a file without `start` that one is passed over.
        yield batch.select([name for name in _COLUMNS if name in batch.schema.names])
