"""A version of a table as ids and one block of vectors. Reads two columns, nothing else."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.table.log import LiveFile, live_files, open_log
from schemas.errors import TableError

Vectors = npt.NDArray[np.float32]


def read(table: str, version: int | None = None) -> tuple[list[str], Vectors]:
    """The ids and the float32 [n, d] vectors, row for row; each vector is copied once, at most.

    After a first run the order is that of the source. Memory: the block, and one file beside it.
    """
    files = live_files(open_log(table, version), table)
    ids: list[str] = []
    block = np.empty((0, 0), np.float32)
    filled = 0
    for file in files:
        columns = read_columns(file, ["id", "embedding"])
        vectors = vectors_of(columns.column("embedding"), file.path)
        ids.extend(columns.column("id").to_pylist())
        if len(files) == 1:
            return ids, vectors
        if filled == 0:
            block = np.empty((_rows(files), vectors.shape[1]), np.float32)
        if vectors.shape[1] != block.shape[1]:
            raise TableError(f"{file.path} has vectors of {vectors.shape[1]} numbers, others have {block.shape[1]}")
        block[filled : filled + len(vectors)] = vectors
        filled += len(vectors)
    return ids, block


def read_columns(file: LiveFile, names: list[str]) -> pa.Table:
    """Some columns of one file; a TableError that names the file where it cannot be read."""
    try:
        with pq.ParquetFile(file.path) as parquet:
            return parquet.read(names).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"cannot read {file.path}, a file of the table: {error}", way_out="vecmill verify") from error


def vectors_of(column: pa.ChunkedArray | pa.ListArray, where: str) -> Vectors:
    """A column of equally long lists as one array that shares its memory."""
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat = lists.flatten()
    width = len(flat) // len(lists) if len(lists) else 0
    offsets = lists.offsets.to_numpy()
    if flat.null_count or lists.null_count or (np.diff(offsets) != width).any():
        raise TableError(f"{where} holds vectors that are null or of different lengths", way_out="vecmill verify")
    vectors: Vectors = flat.to_numpy(zero_copy_only=True).reshape(len(lists), width)
    return vectors


def _rows(files: list[LiveFile]) -> int:
    counts = [pq.read_metadata(file.path).num_rows if file.rows is None else file.rows for file in files]
    return sum(counts)
