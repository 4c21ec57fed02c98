"""One thread that owns the device: sequences of several callers share its batches.

A caller hands in tokens and waits for a future. A batch that fails is halved until the row at fault is alone; that
row becomes a failure with its reason, and its neighbours get their vectors. Knows no queue and no file.
"""

import threading
import time
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Protocol

import numpy as np
import torch

from schemas.errors import VecmillError
from schemas.spec import Spec
from worker.engine.batching import WaitingPool
from worker.engine.submission import Encoded, Submission
from worker.engine.tokens import Ids, Index, Offsets, Tokens, Vectors


class Encodes(Protocol):
    """What the engine needs of an embedder."""

    spec: Spec
    padded: bool

    @property
    def token_budget(self) -> int:
        """How many tokens a batch should have."""

    def forward_batch(self, ids: Ids, offsets: Offsets) -> Vectors:
        """One batch of texts that are not empty, those of equal length being neighbours."""


class _Lane:
    """What waits for one model."""

    def __init__(self, embedder: Encodes, budget: int) -> None:
        self.embedder = embedder
        self.budget = budget
        self.pool = WaitingPool(padded=embedder.padded)


class Engine:
    """Encodes for many threads on one; `token_budget` None means: what suits the embedder's device."""

    def __init__(self, token_budget: int | None = None) -> None:
        self._token_budget = token_budget
        self._wake = threading.Condition()
        self._lanes: dict[str, _Lane] = {}
        self._waiting: dict[Hashable, Submission] = {}  # oldest first
        self._numbers = 0
        self._closed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vecmill-engine", daemon=True)
        self._thread.start()

    def submit(self, embedder: Encodes, tokens: Tokens) -> "Future[Encoded]":
        """Let texts be encoded; the future holds their vectors and the rows that failed."""
        submission = Submission(tokens, dims=embedder.spec.dims, fingerprint=embedder.spec.fingerprint)
        with self._wake:
            if self._closed is not None:
                raise VecmillError(f"the engine has stopped: {self._closed}") from self._closed
            if submission.done:
                submission.finish()
                return submission.future
            lane = self._lane(embedder)
            self._numbers += 1
            lane.pool.add(self._numbers, tokens.lengths[submission.rows], submission.rows)
            self._waiting[self._numbers] = submission
            self._wake.notify()
        return submission.future

    def close(self) -> None:
        """Stop after the batch in hand; who still waits gets an error."""
        self._stop(VecmillError("the engine was closed"))
        self._thread.join()

    def _lane(self, embedder: Encodes) -> _Lane:
        fingerprint = embedder.spec.fingerprint
        if fingerprint not in self._lanes:
            self._lanes[fingerprint] = _Lane(embedder, self._token_budget or embedder.token_budget)
        return self._lanes[fingerprint]

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._encode(*work)
        except BaseException as cause:  # the thread is gone: nobody may wait for it
            self._stop(cause)

    def _next(self) -> "tuple[_Lane, list[tuple[Hashable, Index]]] | None":
        """The next batch, formed as late as possible; None when the engine is closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._closed is not None or self._waiting)
            if self._closed is not None:
                return None
            oldest = next(iter(self._waiting.values()))
            lane = self._lanes[oldest.fingerprint]
            return lane, lane.pool.take(lane.budget)

    def _encode(self, lane: _Lane, pieces: "list[tuple[Hashable, Index]]") -> None:
        batch = [(self._waiting[job], rows) for job, rows in pieces]
        try:
            began = time.perf_counter()
            vectors = lane.embedder.forward_batch(*_gather(batch))
        except torch.AcceleratorError:
            raise  # the device itself is lost: every row would fail, and none is at fault
        except Exception as cause:
            self._halve(lane, pieces, cause)
            return
        self._deliver(lane, pieces, vectors, time.perf_counter() - began)

    def _halve(self, lane: _Lane, pieces: "list[tuple[Hashable, Index]]", cause: Exception) -> None:
        rows = sum(len(index) for _, index in pieces)
        if isinstance(cause, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            lane.budget = max(lane.budget // 2, 1) if rows > 1 else lane.budget
        if rows == 1:
            self._fail(pieces, f"{type(cause).__name__}: {cause}")
            return
        for half in _halves(pieces, rows // 2):
            self._encode(lane, half)

    def _fail(self, pieces: "list[tuple[Hashable, Index]]", reason: str) -> None:
        for job, rows in pieces:
            self._waiting[job].fail(rows, reason)
            self._settle(job)

    def _deliver(self, lane: _Lane, pieces: "list[tuple[Hashable, Index]]", vectors: Vectors, seconds: float) -> None:
        longest = max(int(self._waiting[job].tokens.lengths[rows].max()) for job, rows in pieces)
        total = sum(self._waiting[job].cost(rows) for job, rows in pieces)
        begin = 0
        for job, rows in pieces:
            submission = self._waiting[job]
            share = seconds * submission.cost(rows) / total
            padded = len(rows) * longest if lane.embedder.padded else submission.cost(rows)
            submission.receive(rows, vectors[begin : begin + len(rows)], padded_tokens=padded, seconds=share)
            begin += len(rows)
            self._settle(job)

    def _settle(self, job: Hashable) -> None:
        with self._wake:
            submission = self._waiting[job]
            if submission.done:
                del self._waiting[job]
        if submission.done:
            submission.finish()

    def _stop(self, cause: BaseException) -> None:
        with self._wake:
            self._closed = self._closed or cause
            left, self._waiting = list(self._waiting.values()), {}
            self._wake.notify()
        for submission in left:
            submission.future.set_exception(VecmillError(f"the engine has stopped: {cause}"))


def _gather(batch: "list[tuple[Submission, Index]]") -> tuple[Ids, Offsets]:
    taken = [submission.tokens.take(rows) for submission, rows in batch]
    ids = np.concatenate([ids for ids, _ in taken])
    lengths = np.concatenate([np.diff(offsets) for _, offsets in taken])
    return ids, np.concatenate(([0], np.cumsum(lengths)))


def _halves(pieces: "list[tuple[Hashable, Index]]", rows: int) -> "list[list[tuple[Hashable, Index]]]":
    """The first `rows` rows of a batch, and the rest."""
    first: list[tuple[Hashable, Index]] = []
    rest: list[tuple[Hashable, Index]] = []
    for job, index in pieces:
        cut = min(rows, len(index))
        rows -= cut
        first += [(job, index[:cut])] if cut else []
        rest += [(job, index[cut:])] if cut < len(index) else []
    return [first, rest]
