"""How a worker ends: it takes nothing new, finishes what it can within the grace time, and hands back the rest.

A job that is handed back is at work elsewhere at once, and counts neither as an attempt nor as a lost lease. A second
signal ends the grace time.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from schemas.job import Job
from schemas.transport import DEVICE_LOST
from worker.leases import Leases
from worker.ledger import Ledger

log = logging.getLogger(__name__)

#: What shells say of a process that a Ctrl-C ended.
_INTERRUPTED = 130
_CAUSE = "its worker was told to end"
#: How long a claim that is on its way is waited for, so that its job is handed back, too.
_CLAIM_SECONDS = 1.0


class Departure:
    """`ledger` is to be one that does not wait for a Redis that is away: then the leases run out by themselves."""

    def __init__(self, ledger: Ledger, leases: Leases, *, grace_seconds: float) -> None:
        self.begun = threading.Event()
        self._hurry = threading.Event()
        self._device_lost = threading.Lock()
        self._ledger = ledger
        self._leases = leases
        self._grace_seconds = grace_seconds
        self._claims = 0
        self._claimed = threading.Condition()

    @contextmanager
    def claiming(self) -> Iterator[bool]:
        """Whether a job may be claimed; what is claimed in the block, and held at its end, is handed back in time."""
        with self._claimed:
            may = not self.begun.is_set()
            self._claims += may
        try:
            yield may
        finally:
            with self._claimed:
                self._claims -= may
                self._claimed.notify_all()

    def pass_on(self, job: Job) -> None:
        """Let a job that came too late be at work elsewhere at once."""
        try:
            self._ledger.pass_on(job)
        except redis.RedisError as error:
            log.warning("job %s/%d is not passed on, its message runs out: %s", job.run, job.job, error,
                        extra={"action": "not_left"})  # fmt: skip

    def begin(self, *, at_once: bool = False) -> None:
        """Called from signal handlers, so it only says so to a thread; again is nothing, unless it is `at_once`."""
        if at_once:
            self._hurry.set()
        if not self.begun.is_set():
            self.begun.set()
            threading.Thread(target=self._depart, name="departure", daemon=True).start()

    def lose_device(self) -> None:
        """The device is gone, so this process is of no use: let it end, with a code that asks for another one."""
        # Every job in flight comes by; a second signal would cut short what can still be finished.
        if self._device_lost.acquire(blocking=False):
            log.error("the device is lost: this worker ends", extra={"action": "device_lost"})
            os.kill(os.getpid(), signal.SIGTERM)

    @property
    def exit_code(self) -> int:
        """How the process is to end."""
        if self._device_lost.locked():
            return DEVICE_LOST
        return _INTERRUPTED if self._hurry.is_set() else 0

    def _depart(self) -> None:
        self._hurry.wait(self._grace_seconds)
        with self._claimed:
            self._claimed.wait_for(lambda: not self._claims, _CLAIM_SECONDS)
        for job in self._leases.held():
            try:
                self._ledger.give_back(job, _CAUSE, retry_seconds=0, attempts=0)
            except redis.RedisError as error:
                log.warning("jobs are not handed back, their leases run out: %s", error, extra={"action": "not_left"})
                break
            log.info("job %s/%d is handed back", job.run, job.job, extra={"action": "job_handed_back"})
        else:
            self._leave()
        # The threads of the pool cannot be stopped in any other way.
        os._exit(self.exit_code)

    def _leave(self) -> None:
        try:
            self._ledger.leave()
        except redis.RedisError:
            log.info("left without saying so: Redis does not answer", extra={"action": "leave_failed"})
