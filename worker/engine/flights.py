"""Batches on their way over the device: launched, collected later and in order, and halved where one fails.

A failure may show when a batch is launched or, with others launched behind it, when it is collected. Either way its
halves go through at once, one by one, until the row at fault is alone.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from worker.engine.launch import Encodes, Launched
from worker.engine.panics import panics_told
from worker.engine.streams import is_out_of_memory
from worker.engine.submission import Batch, deliver, gather, halves

Given = TypeVar("Given")


class Budgets:
    """How many tokens a batch of each model should have; smaller once memory ran out. `fixed`: the same for all."""

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._learned: dict[str, int] = {}  # by fingerprint

    def of(self, embedder: Encodes) -> int:
        """As many as the embedder says, or fewer."""
        return self._learned.get(embedder.spec.fingerprint, self._fixed or embedder.token_budget)

    def shrink(self, embedder: Encodes, tokens: int) -> None:
        """So many were too many at once."""
        self._learned[embedder.spec.fingerprint] = max(1, min(self.of(embedder), tokens // 2))


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch that was launched."""

    embedder: Encodes
    batch: Batch
    began: float
    launched: Launched


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a batch failed, in words: an error itself would keep alive what its frames hold, a batch's activations."""

    reason: str
    out_of_memory: bool


class Flights:
    """The batches of one thread, oldest first. `settle` hears of each batch whose rows have their outcome."""

    def __init__(self, budgets: Budgets, settle: Callable[[Batch], None]) -> None:
        self._budgets = budgets
        self._settle = settle
        self._flying: deque[_Flight] = deque()
        self._landed_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._flying)

    def launch(self, embedder: Encodes, batch: Batch) -> None:
        """Start a batch, and collect those that have been ahead of it for long enough.

        Raises `torch.AcceleratorError`, as `land` does, where the device is lost: then every row would fail, and none
        is at fault.
        """
        began = time.perf_counter()
        launched = self._tried(embedder, batch, lambda: embedder.launch(*gather(batch)))
        if launched is not None:
            self._flying.append(_Flight(embedder, batch, began, launched))
        while len(self._flying) > embedder.ahead:
            self.land()

    def land(self) -> None:
        """Collect the oldest batch, and hand out its vectors."""
        flight = self._flying.popleft()
        vectors = self._tried(flight.embedder, flight.batch, flight.launched.collect)
        if vectors is None:
            return
        now = time.perf_counter()
        # A batch that was launched behind another one begins when that one ends.
        seconds, self._landed_at = now - max(flight.began, self._landed_at), now
        budget, padded = self._budgets.of(flight.embedder), flight.embedder.padded
        deliver(flight.batch, vectors, seconds=seconds, padded=padded, budget=budget)
        self._settle(flight.batch)

    def _tried(self, embedder: Encodes, batch: Batch, step: Callable[[], Given]) -> Given | None:
        """What a step of a batch gives; None where it failed, and all rows of the batch have their outcome."""
        try:
            with panics_told("the model"):
                return step()
        except Exception as cause:
            out_of_memory = is_out_of_memory(cause)
            if isinstance(cause, torch.AcceleratorError) and not out_of_memory:
                raise
            failure = _Failure(f"{type(cause).__name__}: {cause}", out_of_memory)
        self._halve(embedder, batch, failure)
        return None

    def _halve(self, embedder: Encodes, batch: Batch, failure: _Failure) -> None:
        rows = sum(len(index) for _, index in batch)
        if rows == 1:
            submission, index = batch[0]
            submission.fail(index, failure.reason)
            self._settle(batch)
            return
        if failure.out_of_memory:
            torch.cuda.empty_cache()
            self._budgets.shrink(embedder, sum(submission.cost(index) for submission, index in batch))
        for half in halves(batch, rows // 2):
            self._encode(embedder, half)

    def _encode(self, embedder: Encodes, batch: Batch) -> None:
        """A half of a batch, at once: those that fly go on meanwhile."""
        began = time.perf_counter()
        launched = self._tried(embedder, batch, lambda: embedder.launch(*gather(batch)))
        if launched is not None:
            self._flying.appendleft(_Flight(embedder, batch, began, launched))
            self.land()
