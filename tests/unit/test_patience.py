"""A worker waits for what may pass, tells of it meanwhile, and gives up where it lasts or the worker ends."""

import errno
import os
import threading

import pytest

from schemas.errors import BucketAway, BucketError
from schemas.job import Job
from worker import patience
from worker.patience import LeaseLost, Obstructed, Patience

JOB = Job(run="run-1", job=3)
AWAY, FULL = BucketAway("S3 does not answer", way_out="wait"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Ledger:
    """Notes what it is told; the lease is ours for so many looks."""

    def __init__(self, looks: int = 1000) -> None:
        self.looks, self.said = looks, []

    def obstructed(self, job: Job, said: str) -> bool:
        self.said.append(said)
        return len(self.said) <= self.looks

    def unobstructed(self, job: Job) -> None:
        self.said.append("")


def failing(*errors: Exception):
    left = list(errors)

    def step() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return step


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_REST_SECONDS", 0.0)


def test_a_disk_and_a_bucket_are_waited_for() -> None:
    ledger = Ledger()
    waiting = Patience(ledger, leaving=threading.Event())
    assert waiting.wait_for(JOB, failing(AWAY, FULL)) == "done"
    assert ledger.said == ["cannot reach the table: S3 does not answer", f"cannot write: {FULL}", ""]


@pytest.mark.parametrize("error", [BucketError("forbidden"), OSError(errno.EIO, "broken"), ValueError("ours")])
def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    ledger = Ledger()
    with pytest.raises(type(error)) as raised:
        Patience(ledger, leaving=threading.Event()).wait_for(JOB, failing(error))
    assert raised.value is error
    assert ledger.said == []


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PATIENCE_SECONDS", 0.0)
    ledger = Ledger()
    with pytest.raises(Obstructed, match="does not answer"):
        Patience(ledger, leaving=threading.Event()).wait_for(JOB, failing(*[AWAY] * 9))
    assert ledger.said[-1] == ""


def test_not_where_the_worker_ends_or_somebody_else_has_the_job() -> None:
    leaving = threading.Event()
    leaving.set()
    with pytest.raises(Obstructed):
        Patience(Ledger(), leaving=leaving).wait_for(JOB, failing(*[AWAY] * 9))
    with pytest.raises(LeaseLost):
        Patience(Ledger(looks=2), leaving=threading.Event()).wait_for(JOB, failing(*[AWAY] * 9))
