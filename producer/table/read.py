"""A version of a table as ids and one block of vectors. Reads two columns, nothing else."""

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


def read(table: str, version: int | None = None, *, codes: bool = False) -> tuple[list[str], npt.NDArray[Any]]:
    """The ids and the float32 [n, d] vectors, row for row; each vector is copied once, at most.

    An int8 or uint8 store gives the middle of what each code stands for, as the ranges of the table say; with
    `codes` the codes themselves. A binary or ubinary store gives its packed bits, [n, ceil(d / 8)], either way.
    After a first run the order is that of the source, but for rows whose text was there before: these stand behind.
    Memory: the block, and one file beside it.
    """
    files = live_files(open_log(table, version), table)
    coding = Coding.of(open_table(table, version))
    decode = coding.codes if coding.packed or (codes and coding.quantized) else coding.values
    ids: list[str] = []
    block: npt.NDArray[Any] = np.empty((0, 0), np.float32)
    filled = 0
    for file in files:
        columns = read_columns(file, ["id", "embedding"])
        vectors = decode(columns.column("embedding"), file.path)
        ids.extend(columns.column("id").to_pylist())
        if len(files) == 1:
            return ids, vectors
        if filled == 0:
            block = np.empty((_rows(files), vectors.shape[1]), vectors.dtype)
        if vectors.shape[1] != block.shape[1]:
            raise TableError(f"{file.path} has vectors of {vectors.shape[1]} numbers, others have {block.shape[1]}")
        block[filled : filled + len(vectors)] = vectors
        filled += len(vectors)
    return ids, block


def read_columns(file: LiveFile, names: list[str]) -> pa.Table:
    """Some columns of one file; a TableError that names the file where it cannot be read."""
    try:
        with opened(file.path) as stream, pq.ParquetFile(stream) as parquet:
            return parquet.read(names).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"cannot read {file.path}, a file of the table: {error}", way_out="vecmill verify") from error


def _rows(files: list[LiveFile]) -> int:
    return sum(map(count_rows, files))
