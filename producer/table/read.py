"""A version of a table as ids and one block of vectors. Reads two columns, nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.table.codes import Coding
from producer.table.keys import count_rows
from producer.table.log import LiveFile, live_files, open_log
from producer.table.state import open_table
from schemas.errors import TableError
from schemas.files import opened

#: Rows that are decoded at once: few enough to matter little beside the block, many enough to cost no time.
_BATCH_ROWS = 2_048


def read(table: str, version: int | None = None, *, codes: bool = False) -> tuple[list[str], npt.NDArray[Any]]:
    """The ids and the float32 [n, d] vectors, row for row; each vector is copied once.

    An int8 or uint8 store gives the middle of what each code stands for, as the ranges of the table say; with
    `codes` the codes themselves. A binary or ubinary store gives its packed bits, [n, ceil(d / 8)], either way.
    After a first run the order is that of the source, but for rows whose text was there before: these stand behind.
    Memory: the block, and some thousand rows beside it.
    """
    files = live_files(open_log(table, version), table)
    coding = Coding.of(open_table(table, version))
    decode = coding.codes if coding.packed or (codes and coding.quantized) else coding.values
    ids: list[str] = []
    block: npt.NDArray[Any] = np.empty((0, 0), np.float32)
    for file in files:
        for batch in _batches(file):
            vectors = decode(batch.column("embedding"), file.path)
            if not ids:
                block = np.empty((_rows(files), vectors.shape[1]), vectors.dtype)
            if vectors.shape[1] != block.shape[1]:
                raise TableError(f"{file.path} has vectors of {vectors.shape[1]} numbers, others have {block.shape[1]}")
            block[len(ids) : len(ids) + len(vectors)] = vectors
            ids.extend(batch.column("id").to_pylist())
    return ids, block


def _batches(file: LiveFile) -> Iterator[pa.RecordBatch]:
    """The ids and vectors of one file, in its order."""
    with _opened(file) as parquet:
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=["id", "embedding"]):
            if batch.num_rows:
                yield batch


def read_columns(file: LiveFile, names: list[str]) -> pa.Table:
    """Some columns of one file; a TableError that names the file where it cannot be read."""
    with _opened(file) as parquet:
        return parquet.read(names).combine_chunks()


@contextmanager
def _opened(file: LiveFile) -> Iterator[pq.ParquetFile]:
    try:
        with opened(file.path) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"cannot read {file.path}, a file of the table: {error}", way_out="vecmill verify") from error


def _rows(files: list[LiveFile]) -> int:
    return sum(map(count_rows, files))
