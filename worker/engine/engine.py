"""One thread that owns the device: sequences of several callers share its batches.

A caller hands in tokens and waits for a future. A batch that fails is halved until the row at fault is alone; that
row becomes a failure with its reason, and its neighbours get their vectors. Knows no queue and no file.
"""

import threading
import time
from concurrent.futures import Future
from typing import Protocol

import torch

from schemas.errors import VecmillError
from schemas.spec import Spec
from worker.engine.batching import WaitingPool
from worker.engine.panics import panics_told
from worker.engine.submission import Batch, Encoded, Submission, deliver, gather, halves
from worker.engine.tokens import Ids, Offsets, Tokens, Vectors


class Encodes(Protocol):
    """What the engine needs of an embedder."""

    @property
    def spec(self) -> Spec:
        """Whose fingerprint says which submissions may share a batch."""

    @property
    def padded(self) -> bool:
        """Whether a batch costs its longest text times its rows."""

    @property
    def token_budget(self) -> int:
        """How many tokens a batch should have."""

    def forward_batch(self, ids: Ids, offsets: Offsets) -> Vectors:
        """One batch of texts that are not empty, those of equal length being neighbours."""


class Engine:
    """Encodes for many threads on one; `token_budget` None means: what suits the embedder's device."""

    def __init__(self, token_budget: int | None = None) -> None:
        self._token_budget = token_budget
        self._wake = threading.Condition()
        self._waiting: dict[Submission, Encodes] = {}  # oldest first
        self._pools: dict[str, WaitingPool[Submission]] = {}  # by fingerprint
        self._budgets: dict[str, int] = {}  # by fingerprint; smaller once memory ran out
        self._stopped: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vecmill-engine", daemon=True)
        self._thread.start()

    def submit(self, embedder: Encodes, tokens: Tokens) -> "Future[Encoded]":
        """Let texts be encoded; the future holds their vectors and the rows that failed."""
        submission = Submission(tokens, dims=embedder.spec.dims, fingerprint=embedder.spec.fingerprint)
        with self._wake:
            if self._stopped is not None:
                raise VecmillError(f"the engine has stopped: {self._stopped}") from self._stopped
            if not submission.done:
                self._wait(submission, embedder)
        if submission.done:
            submission.finish()
        return submission.future

    @property
    def alive(self) -> bool:
        """Whether it still takes work; once it does not, only a new process helps."""
        return self._stopped is None

    def close(self) -> None:
        """Stop after the batch in hand; who still waits gets an error."""
        self._stop(VecmillError("the engine was closed"))
        self._thread.join()

    def _wait(self, submission: Submission, embedder: Encodes) -> None:
        name = submission.fingerprint
        self._budgets.setdefault(name, self._token_budget or embedder.token_budget)
        pool = self._pools.setdefault(name, WaitingPool(padded=embedder.padded))
        pool.add(submission, submission.lengths[submission.rows], submission.rows)
        self._waiting[submission] = embedder
        self._wake.notify()

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._encode(*work)
        except BaseException as cause:  # the thread is gone: nobody may wait for it
            self._stop(cause)

    def _next(self) -> tuple[Encodes, Batch] | None:
        """The next batch, formed as late as possible, of the oldest submission's model; None once stopped."""
        with self._wake:
            self._wake.wait_for(lambda: self._stopped is not None or self._waiting)
            if self._stopped is not None:
                return None
            oldest, embedder = next(iter(self._waiting.items()))
            pool = self._pools[oldest.fingerprint]
            batch = pool.take(self._budgets[oldest.fingerprint])
            if not pool:
                del self._pools[oldest.fingerprint]
            return embedder, batch

    def _encode(self, embedder: Encodes, batch: Batch) -> None:
        began = time.perf_counter()
        try:
            with panics_told("the model"):
                vectors = embedder.forward_batch(*gather(batch))
        except torch.AcceleratorError:
            raise  # the device itself is lost: every row would fail, and none is at fault
        except Exception as cause:
            self._halve(embedder, batch, cause)
            return
        seconds, budget = time.perf_counter() - began, self._budgets[batch[0][0].fingerprint]
        deliver(batch, vectors, seconds=seconds, padded=embedder.padded, budget=budget)
        self._settle(batch)

    def _halve(self, embedder: Encodes, batch: Batch, cause: Exception) -> None:
        rows = sum(len(index) for _, index in batch)
        if rows == 1:
            submission, index = batch[0]
            submission.fail(index, f"{type(cause).__name__}: {cause}")
            self._settle(batch)
            return
        if isinstance(cause, torch.OutOfMemoryError):
            self._shrink(batch)
        for half in halves(batch, rows // 2):
            self._encode(embedder, half)

    def _shrink(self, batch: Batch) -> None:
        torch.cuda.empty_cache()
        tokens = sum(submission.cost(rows) for submission, rows in batch)
        name = batch[0][0].fingerprint
        self._budgets[name] = max(1, min(self._budgets[name], tokens // 2))

    def _settle(self, batch: Batch) -> None:
        """Hand over the submissions of a batch that are complete; one that is no longer waited for has its error."""
        for submission, _ in batch:
            if submission.done:
                with self._wake:
                    waited = self._waiting.pop(submission, None) is not None
                if waited:
                    submission.finish()

    def _stop(self, cause: BaseException) -> None:
        with self._wake:
            self._stopped = self._stopped or cause
            left, self._waiting = list(self._waiting), {}
            self._wake.notify()
        for submission in left:
            submission.future.set_exception(VecmillError(f"the engine has stopped: {cause}"))
