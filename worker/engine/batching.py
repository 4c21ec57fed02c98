"""Which waiting sequences go into the next batch. Arrays of lengths only: no text, no tensor, no clock.

A batch starts at the longest sequence of the oldest job, so that job advances in every batch; it is filled from
all jobs with the same length, then shorter ones, then longer ones, so its sequences are near in length.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from worker.engine.tokens import Index

Job = TypeVar("Job", bound=Hashable)


#: A batch's squared lengths sum to at most so many times its token budget. Attention costs length times length: beyond
#: this mean length it would be most of the work, and batches of equal tokens would differ much in time and memory.
SQUARES_PER_TOKEN = 2048


class WaitingPool(Generic[Job]):
    """Sequences of several jobs, by length. `padded`: a batch costs its longest sequence times its rows."""

    def __init__(self, *, padded: bool = False) -> None:
        self._padded = padded
        self._jobs: dict[Job, dict[int, Index]] = {}  # in order of age; indices by length
        self._lengths: list[int] = []  # all lengths that wait, ascending
        self._holders: dict[int, dict[Job, None]] = {}  # which jobs hold a length, oldest first

    def __len__(self) -> int:
        return sum(len(rows) for job in self._jobs.values() for rows in job.values())

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __contains__(self, job: object) -> bool:
        return job in self._jobs

    @property
    def oldest(self) -> Job:
        """The job that has waited longest."""
        return next(iter(self._jobs))

    def add(self, job: Job, lengths: "np.ndarray[Any, Any]", rows: Index | None = None) -> None:
        """Let sequences wait: number i of `job` (or `rows[i]`) has `lengths[i]` tokens."""
        if job in self._jobs:
            raise ValueError(f"job {job!r} waits already")
        if not len(lengths):
            return
        order = np.argsort(lengths, kind="stable")
        values, starts = np.unique(lengths[order], return_index=True)
        named = order if rows is None else rows[order]
        self._jobs[job] = dict(zip(values.tolist(), np.split(named, starts[1:]), strict=True))
        for length in values.tolist():
            if length not in self._holders:
                insort(self._lengths, length)
                self._holders[length] = {}
            self._holders[length][job] = None

    def remove(self, job: Job) -> None:
        """Forget what is left of a job."""
        for length in list(self._jobs.get(job, ())):
            self._drop(job, length)

    def take(self, budget: int) -> list[tuple[Job, Index]]:
        """The next batch, longest first, and no longer waiting; one sequence beyond the budget goes alone.

        `budget` is in tokens; their squared lengths are bound to `SQUARES_PER_TOKEN` times that.
        """
        taken: dict[int, list[tuple[Job, Index]]] = {}
        filling = _Filling(budget, padded=self._padded)
        for length in self._near(max(self._jobs[self.oldest])):
            room = filling.room(length)
            if room <= 0 and taken:
                break
            taken[length] = self._pick(length, max(room, 1))
            filling.add(length, sum(len(index) for _, index in taken[length]))
        return [piece for length in sorted(taken, reverse=True) for piece in taken[length]]

    def _near(self, length: int) -> Iterator[int]:
        """Lengths that wait: this one, then shorter ones, then longer ones, each nearest first."""
        lengths = list(self._lengths)
        place = bisect_left(lengths, length)
        yield from reversed(lengths[: place + 1])
        yield from lengths[place + 1 :]

    def _pick(self, length: int, count: int) -> list[tuple[Job, Index]]:
        picked: list[tuple[Job, Index]] = []
        for job in list(self._holders[length]):
            if count == 0:
                break
            rows = self._jobs[job][length]
            picked.append((job, rows[:count]))
            if len(rows) > count:
                self._jobs[job][length] = rows[count:]
            else:
                self._drop(job, length)
            count -= len(picked[-1][1])
        return picked

    def _drop(self, job: Job, length: int) -> None:
        del self._jobs[job][length]
        if not self._jobs[job]:
            del self._jobs[job]
        del self._holders[length][job]
        if not self._holders[length]:
            del self._holders[length]
            self._lengths.remove(length)


class _Filling:
    """A batch as it fills up."""

    def __init__(self, budget: int, *, padded: bool) -> None:
        self._budget = budget
        self._padded = padded
        self._longest = self._rows = self._tokens = self._squares = 0

    def room(self, length: int) -> int:
        """How many more sequences of this length fit."""
        most = self._budget * SQUARES_PER_TOKEN
        if self._padded:
            longest = max(self._longest, length)
            return min(self._budget // longest, most // longest**2) - self._rows
        return min((self._budget - self._tokens) // length, (most - self._squares) // length**2)

    def add(self, length: int, rows: int) -> None:
        """Take so many in."""
        self._longest = max(self._longest, length)
        self._rows += rows
        self._tokens += rows * length
        self._squares += rows * length**2
