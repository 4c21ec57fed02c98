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
        """The next batch, longest first, and no longer waiting; one sequence beyond the budget goes alone."""
        taken: dict[int, list[tuple[Job, Index]]] = {}
        longest, tokens, rows = 0, 0, 0
        for length in self._near(max(self._jobs[self.oldest])):
            room = self._room(budget, longest=max(longest, length), length=length, tokens=tokens, rows=rows)
            if room <= 0 and rows:
                break
            picked = self._pick(length, max(room, 1))
            count = sum(len(index) for _, index in picked)
            taken[length] = picked
            longest, tokens, rows = max(longest, length), tokens + count * length, rows + count
        return [piece for length in sorted(taken, reverse=True) for piece in taken[length]]

    def _room(self, budget: int, *, longest: int, length: int, tokens: int, rows: int) -> int:
        return budget // longest - rows if self._padded else (budget - tokens) // length

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
