"""Writing rows of files of a table into a new file, laid out as parts are. Knows files, no log and no run."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from producer.table.log import LiveFile
from schemas.files import opened
from schemas.footer import read_footer
from schemas.layout import writer_options
from schemas.spec import FINEST_FIRST

_BATCH_ROWS = 8_192


def batches_of(path: str) -> Iterator[pa.RecordBatch]:
    """The rows of a file, some at a time."""
    with opened(path) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as parquet:
        yield from parquet.iter_batches(_BATCH_ROWS)


def coarseness(file: LiveFile) -> int:
    """How coarse its vectors are; `verify` compares coarse ones less strictly, and reads that from the footers."""
    footer = read_footer(file.path)
    dtype = None if footer is None else footer.receipt.dtype
    return next((place for place, one in enumerate(FINEST_FIRST) if one == dtype), -1)


def write_rows(target: BinaryIO, rows: Iterable[pa.RecordBatch], *, like: str) -> None:
    """Write rows with the schema of the file `like`, and with what its footer says of how vectors were made."""
    with opened(like) as stream:
        footer = pq.read_metadata(stream)
    schema = footer.schema.to_arrow_schema().remove_metadata()
    said = {key: text for key, text in (footer.metadata or {}).items() if key.startswith(b"vecmill.")}
    with pq.ParquetWriter(target, schema, **writer_options(schema)) as writer:
        for batch in rows:
            writer.write_batch(batch.replace_schema_metadata(None).select(schema.names).cast(schema))
        writer.add_key_value_metadata(said)
