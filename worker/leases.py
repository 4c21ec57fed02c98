"""Keeps the leases of jobs in flight alive, and says that the worker lives. Knows no model and no file."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from schemas.job import Job
from schemas.ledger import LEASE_SECONDS, Heartbeat
from worker.ledger import Ledger
from worker.tally import Tally

log = logging.getLogger(__name__)


class Leases:
    """Renews from a thread of its own, so that a long batch cannot let a lease run out.

    `describe` gives the device and the loaded models for the heartbeat, which also says what the `tally` has.
    """

    def __init__(self, ledger: Ledger, *, describe: Callable[[], tuple[str, tuple[str, ...]]]) -> None:
        self._ledger = ledger
        self._describe = describe
        self.worker = ledger.worker
        self.tally = Tally()
        self._held: Counter[Job] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)

    @property
    def in_flight(self) -> int:
        """How many jobs are held now."""
        return len(self._held)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and take the worker off the list."""
        self._stop.set()
        self._thread.join()

    @contextmanager
    def hold(self, job: Job) -> Iterator[None]:
        """Renew the lease of a job for as long as the block lasts."""
        with self._lock:
            self._held[job] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[job] -= 1
                if not self._held[job]:
                    del self._held[job]

    def held(self) -> list[Job]:
        """The jobs whose leases are being renewed."""
        with self._lock:
            return list(self._held)

    def _loop(self) -> None:
        while True:
            try:
                self._beat()
            except redis.RedisError as error:
                log.warning("heartbeat not delivered: %s", error, extra={"action": "heartbeat_failed"})
            if self._stop.wait(LEASE_SECONDS / 4):
                break
        try:
            self._ledger.leave()
        except redis.RedisError:
            log.info("left without saying so: Redis does not answer", extra={"action": "leave_failed"})

    def _beat(self) -> None:
        held = self.held()
        for run in {job.run for job in held}:
            self._ledger.renew(run, [job.job for job in held if job.run == run])
        device, models = self._describe()
        totals = self.tally.totals
        self._ledger.beat(
            Heartbeat(
                worker=self.worker, at=self._ledger.server_time(), device=device, in_flight=len(held), models=models,
                rows=totals.rows, tokens=totals.tokens,
            )
        )  # fmt: skip
