"""Cutting the source into jobs. Knows rows and limits, no files and no queue.

The cut depends only on the rows and the limits: cutting again from the end of any job gives the same
jobs from there on, whatever batches the source is read in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from producer.source import START, Cursor, Rows
from schemas.receipt import SourceRange


@dataclass(frozen=True, slots=True)
class JobLimits:
    """The most a job holds; a single text above `text_bytes` (of UTF-8) is a job of its own."""

    rows: int = 4_096
    text_bytes: int = 2 << 20


@dataclass(frozen=True, slots=True)
class CutJob:
    """One job, not yet enqueued: its number, its rows in payload schema, and where they came from."""

    job: int
    rows: pa.Table
    source: SourceRange


def cut(source: Rows, start: Cursor = START, *, first_job: int = 0, limits: JobLimits) -> Iterator[CutJob]:
    """The jobs of the source from a place on, numbered from `first_job`."""
    job = first_job
    slices: list[pa.RecordBatch] = []
    rows, text_bytes = 0, 0
    end = begin = start
    for batch in source.batches(start):
        sizes = _text_sizes(batch.rows)
        taken = 0
        while taken < len(sizes):
            fit = _fitting(sizes[taken:], limits.rows - rows, limits.text_bytes - text_bytes, empty=rows == 0)
            if fit:
                slices.append(batch.rows.slice(taken, fit))
                rows, text_bytes = rows + fit, text_bytes + int(sizes[taken : taken + fit].sum())
                taken += fit
                end = batch.after(taken)
            if taken < len(sizes):
                yield _job(job, slices, begin, end)
                job, slices, rows, text_bytes, begin = job + 1, [], 0, 0, end
    if slices:
        yield _job(job, slices, begin, end)


def _fitting(sizes: npt.NDArray[np.int64], rows: int, text_bytes: int, *, empty: bool) -> int:
    """How many of the next rows fit into what is left of a job; an empty job takes at least one."""
    within = int(np.searchsorted(np.cumsum(sizes[:rows]), text_bytes, side="right"))
    return max(within, 1) if empty else within


def _text_sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    sizes = pc.fill_null(pc.binary_length(batch.column("text")), 0)
    return np.asarray(sizes.to_numpy(zero_copy_only=False), dtype=np.int64)


def _job(job: int, slices: list[pa.RecordBatch], begin: Cursor, end: Cursor) -> CutJob:
    rows = pa.Table.from_batches(slices).combine_chunks()
    return CutJob(job, rows, SourceRange(start=begin, end=end))
