"""Some rows of a table with their vectors, spread evenly over its files. Memory: the sample and one batch.

Files are read from their beginning and only so far, so that a table of any size is looked at in bounded time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.table.batches import batches_of
from producer.table.codes import Coding
from producer.table.log import LiveFile
from schemas.store import packed

_MOST_FILES = 24
_MOST_ROWS = 200_000
_POINTS = 2_000
_BATCH_ROWS = 4_096

Vectors = npt.NDArray[np.float32]
_Item = TypeVar("_Item")


class Sample(NamedTuple):
    """Rows without their vectors, the vectors scaled to length 1 [rows, dims], and among how many they were chosen."""

    rows: pa.Table
    vectors: Vectors
    looked_at: int
    files: int
    all_files: int


class Block(NamedTuple):
    """Neighbouring rows of one file; the vectors are scaled to length 1, the signs of packed ones are 1 and -1."""

    rows: pa.Table
    vectors: Vectors


def spread(items: Sequence[_Item], most: int) -> list[_Item]:
    """Up to so many of them, at even distances."""
    return [items[at] for at in _evenly(len(items), most)]


def take_sample(files: Sequence[LiveFile], coding: Coding) -> Sample:
    """A sample of the rows of some files; empty where there is no row."""
    found = list(_thinned(files, coding))
    chosen = len(spread(files, _MOST_FILES))
    looked_at = sum(count for count, _ in found)
    if not looked_at:
        return Sample(pa.table({}), np.zeros((0, 0), np.float32), 0, chosen, len(files))
    rows = pa.concat_tables([block.rows for _, block in found], promote_options="permissive")
    vectors = np.concatenate([block.vectors for _, block in found])
    kept = _evenly(len(rows), _POINTS)
    return Sample(rows.take(pa.array(kept)), vectors[kept], looked_at, chosen, len(files))


def blocks(files: Sequence[LiveFile], coding: Coding) -> Iterator[Block]:
    """What is looked at of some files, in pieces."""
    chosen = spread(files, _MOST_FILES)
    for file in chosen:
        left = _MOST_ROWS // len(chosen)
        for batch in batches_of(file.path, _BATCH_ROWS):
            rows = pa.Table.from_batches([batch.slice(0, left)])
            if len(rows):
                yield Block(rows.drop_columns(["embedding"]), _unit(rows.column("embedding"), coding, file.path))
            left -= len(rows)
            if left <= 0:
                break


def _thinned(files: Sequence[LiveFile], coding: Coding) -> Iterator[tuple[int, Block]]:
    """The rows of each block that may be in the sample, and how many it had."""
    rows = sum(file.rows or _BATCH_ROWS for file in spread(files, _MOST_FILES))
    for block in blocks(files, coding):
        count = len(block.rows)
        # Twice as many as are kept in the end, since the log need not say how many rows a file has.
        kept = _evenly(count, max(1, -(-2 * _POINTS * count // max(rows, 1))))
        yield count, Block(block.rows.take(pa.array(kept)), block.vectors[kept])


def _unit(column: pa.ChunkedArray, coding: Coding, where: str) -> Vectors:
    if coding.packed:
        bits = np.unpackbits(packed(coding.codes(column, where), coding.store), axis=1)
        vectors = bits.astype(np.float32) * 2 - 1
    else:
        vectors = np.array(coding.values(column, where), np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def _evenly(count: int, most: int) -> list[int]:
    """Up to so many numbers below `count`, at even distances."""
    return [int(at) for at in np.unique(np.linspace(0, count - 1, min(count, most)).round())] if count else []
