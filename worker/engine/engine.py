"""One thread that owns the device: sequences of several callers share its batches.

A caller hands in tokens and waits for a future. A batch that fails is halved until the row at fault is alone; that
row becomes a failure with its reason, and its neighbours get their vectors. Knows no queue and no file.
"""

import threading
from concurrent.futures import Future

from schemas.errors import VecmillError
from worker.engine.batching import WaitingPool
from worker.engine.flights import Budgets, Flights
from worker.engine.launch import Encodes
from worker.engine.submission import Batch, Encoded, Submission
from worker.engine.tokens import Tokens


class Engine:
    """Encodes for many threads on one; `token_budget` None means: what suits the embedder's device."""

    def __init__(self, token_budget: int | None = None) -> None:
        self._wake = threading.Condition()
        self._budgets = Budgets(token_budget)
        self._flights = Flights(self._budgets, self._settle)
        self._waiting: dict[Submission, Encodes] = {}  # oldest first
        self._pools: dict[str, WaitingPool[Submission]] = {}  # by fingerprint
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
        pool = self._pools.setdefault(submission.fingerprint, WaitingPool(padded=embedder.padded))
        pool.add(submission, submission.lengths[submission.rows], submission.rows)
        self._waiting[submission] = embedder
        self._wake.notify()

    def _run(self) -> None:
        try:
            while self._stopped is None:
                if work := self._next():
                    self._flights.launch(*work)
                elif self._flights:
                    self._flights.land()
        except BaseException as cause:  # the thread is gone: nobody may wait for it
            self._stop(cause)

    def _next(self) -> tuple[Encodes, Batch] | None:
        """The next batch, formed as late as possible, of the model whose texts wait longest.

        None once stopped, and where all texts are on their way: then there are batches to collect.
        """
        with self._wake:
            self._wake.wait_for(lambda: self._stopped is not None or self._pools or self._flights)
            if self._stopped is not None or not self._pools:
                return None
            oldest = next(one for one in self._waiting if one in self._pools.get(one.fingerprint, ()))
            embedder, pool = self._waiting[oldest], self._pools[oldest.fingerprint]
            batch = pool.take(self._budgets.of(embedder))
            if not pool:
                del self._pools[oldest.fingerprint]
            return embedder, batch

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
