"""Spot checks: for a few rows of a sample, the nearest of all rows that are looked at. A person then judges."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from producer.report.sample import Block, Sample, blocks, spread
from producer.table.codes import Coding
from producer.table.log import LiveFile

_CHECKS = 6
_NEAREST = 5

Row = dict[str, Any]


class Neighbour(NamedTuple):
    """One row that is near; `score` is the cosine (of packed vectors, that of their signs)."""

    score: float
    row: Row


class Check(NamedTuple):
    """One row of the sample, and those nearest to it, without itself."""

    row: Row
    nearest: tuple[Neighbour, ...]


def spot_checks(sample: Sample, files: Sequence[LiveFile], coding: Coding) -> Iterator[Check]:
    """A few rows and their neighbours, found by one more pass over what the sample was taken from."""
    asked = spread(range(len(sample.rows)), _CHECKS)
    if len(sample.rows) < 2:
        return
    wanted = sample.vectors[asked]
    found: list[list[Neighbour]] = [[] for _ in asked]
    for block in blocks(files, coding):
        for at, near in enumerate(_nearest(block, wanted)):
            found[at] = sorted([*found[at], *near], key=lambda one: -one.score)[: _NEAREST + 1]
    for at, place in enumerate(asked):
        row = _row(sample.rows, place)
        others = [one for one in found[at] if _key(one.row) != _key(row)]
        yield Check(row, tuple(others[:_NEAREST]))


def _nearest(block: Block, wanted: np.ndarray[Any, np.dtype[np.float32]]) -> Iterator[list[Neighbour]]:
    scores = block.vectors @ wanted.T
    # One more than is shown: the row itself is among them.
    best = np.argsort(-scores, axis=0, kind="stable")[: _NEAREST + 1]
    for column in range(len(wanted)):
        yield [Neighbour(float(scores[at, column]), _row(block.rows, int(at))) for at in best[:, column]]


def _row(rows: pa.Table, at: int) -> Row:
    row: Row = rows.slice(at, 1).to_pylist()[0]
    return row


def _key(row: Row) -> tuple[Any, Any]:
    return row["id"], row["chunk"]
