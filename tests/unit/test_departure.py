"""A worker that ends hands back every job that it claimed, however late, and passes on what came too late."""

import threading

import pytest
import redis

from schemas.job import Job
from worker import departure
from worker.departure import Departure
from worker.entrance import Entrance
from worker.leases import Leases
from worker.ledger import Claim, Verdict

JOB = Job(run="run-1", job=3)


class Ledger:
    """Answers a claim when it is told to."""

    worker = "here"

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        self.back: list[Job] = []
        self.passed: list[Job] = []

    def claim(self, job: Job) -> Claim:
        self.asked.set()
        assert self.answers.wait(100)
        return Claim(Verdict.GO, 1)

    def give_back(self, job: Job, cause: str, **_: object) -> None:
        self.back.append(job)

    def pass_on(self, job: Job) -> None:
        self.passed.append(job)

    def leave(self) -> None:
        """Nobody asks."""


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set where the process would have ended."""
    ended = threading.Event()
    monkeypatch.setattr(departure.os, "_exit", lambda _: ended.set())
    return ended


def leaving(ledger: Ledger) -> tuple[Departure, Entrance]:
    leases = Leases(ledger, describe=lambda: ("cpu", ()))
    going = Departure(ledger, leases, grace_seconds=0)
    return going, Entrance(ledger, leases, going)


def test_a_claim_that_is_on_its_way_is_handed_back(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, ended: threading.Event
) -> None:
    monkeypatch.setattr(departure, "_CLAIM_SECONDS", 100.0)
    going, entrance = leaving(ledger)

    def work() -> None:
        with entrance.claimed(JOB, able=True):
            ended.wait(100)

    thread = threading.Thread(target=work)
    thread.start()
    assert ledger.asked.wait(100)
    going.begin()
    assert not ended.wait(0.2)
    ledger.answers.set()
    assert ended.wait(100)
    thread.join()
    assert ledger.back == [JOB]


def test_it_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, ended: threading.Event) -> None:
    monkeypatch.setattr(departure, "_CLAIM_SECONDS", 0.0)
    going, _ = leaving(ledger)
    with going.claiming() as may:
        assert may
        going.begin()
        assert ended.wait(100)


@pytest.mark.parametrize("able", [True, False], ids=["it ends", "its engine is dead"])
def test_what_comes_too_late_is_passed_on_and_not_claimed(ledger: Ledger, ended: threading.Event, able: bool) -> None:
    going, entrance = leaving(ledger)
    if able:
        going.begin()
        assert ended.wait(100)
    with entrance.claimed(JOB, able=able) as claim:
        assert claim is None
    assert (ledger.asked.is_set(), ledger.passed) == (False, [JOB])


def test_a_redis_that_is_away_stops_nobody_from_leaving(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(job: Job) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(ledger, "pass_on", away)
    _, entrance = leaving(ledger)
    with entrance.claimed(JOB, able=False) as claim:
        assert claim is None
