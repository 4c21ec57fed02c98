"""Rows that know their place, and what gives them. Knows no file and no format."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.source.cursor import START, Cursor


class SourceBatch(NamedTuple):
    """Rows of one file, in payload schema, and the place where they begin.

    Where rows were left out, `offsets` are how far from that place each of the others is. Where they are chunks, or
    tombstones of the file are not among them, `ends` are row and chunk of the place after each, [n, 2].
    """

    rows: pa.RecordBatch
    start: Cursor
    offsets: npt.NDArray[np.int64] | None = None
    ends: npt.NDArray[np.int64] | None = None

    def after(self, rows: int) -> Cursor:
        """The place after so many of the rows."""
        passed = rows if self.offsets is None else int(self.offsets[rows - 1]) + 1
        if self.ends is None:
            return self.start.plus(passed)
        row, chunk = self.ends[rows - 1].tolist()
        return Cursor(self.start.file, row, self.start.total + passed, chunk)

    def only(self, offsets: npt.NDArray[np.int64]) -> "SourceBatch":
        """Some of its rows; all are there now."""
        ends = None if self.ends is None else self.ends[offsets]
        return SourceBatch(self.rows.take(pa.array(offsets)), self.start, offsets, ends)


class Rows(Protocol):
    """What jobs are cut from: the same sequence of rows at every reading."""

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        """The rows from a place on, in bounded batches."""


class Corpus(Rows, Protocol):
    """All that a source says: its rows, and which ids are to go."""

    def tombstones(self) -> Iterator[pa.Array]:
        """The ids of its tombstones, in order."""
