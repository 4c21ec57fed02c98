"""Who may begin a run, and what a lost race says of it: with a real Redis, and no process beside."""

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.commands import serve
from producer.commands.embed import _detach
from producer.commands.status import _statuses
from producer.display import Silent
from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from producer.place import Place
from schemas.errors import RunFailed, RunTaken
from schemas.job import Job
from schemas.ledger import WORKERS_KEY, RunKeys
from tests.integration.test_ledger import RUN, receipt, record
from worker.ledger import Ledger as WorkerLedger

pytestmark = pytest.mark.integration


@pytest.fixture
def ledger(client: redis.Redis) -> Ledger:
    """A run of one job, which is done."""
    ledger, worker = Ledger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    assert ledger.enqueue(0, b"rows")
    worker.claim(Job(run=RUN, job=0))
    worker.finish(Job(run=RUN, job=0), receipt(0))
    return ledger


def done(ledger: Ledger) -> int:
    progress = ledger.progress()
    assert progress is not None
    return progress.done


def test_detaching_leaves_a_run_alone_that_another_process_drives(
    server: RedisServer, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    with Place(ledger, Silent()):
        assert _detach(record(), server.url) == 0
        assert done(ledger) == 1, "only who drives the run may count its jobs anew"
    assert _detach(record(), server.url) == 0
    assert done(ledger) == 0
    assert capsys.readouterr().out.split() == [RUN, RUN]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RunTaken("another process took over"), "running"),
        (redis.TimeoutError("no answer"), "running"),
        (RunFailed("all jobs died"), "failed"),
    ],
)
def test_a_lost_race_is_no_failure_of_the_run(
    server: RedisServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    def ends_so(*_: object) -> None:
        raise error

    monkeypatch.setattr(serve, "carry_out", ends_so)
    serve._Service(server.url)._drive(record())
    progress = ledger.progress()
    assert progress is not None
    assert (progress.state, "all jobs died" in progress.reason) == (state, state == "failed")


def test_serve_takes_what_nobody_drives(server: RedisServer, ledger: Ledger) -> None:
    service = serve._Service(server.url)
    assert service._orphan(RUN) == record()
    with Place(ledger, Silent()):
        assert service._orphan(RUN) is None
    ledger.set_state("paused")
    assert service._orphan(RUN) is None
    sample = Ledger(service._broker.client, "sample")
    sample.open(record("sample").model_copy(update={"sample_of": RUN}))
    assert service._orphan("sample") is None


def test_a_place_is_taken_from_who_lost_it(ledger: Ledger, client: redis.Redis) -> None:
    with Place(ledger, Silent()) as place:
        place.keep()
        assert ledger.hold("somebody") != "somebody"
        client.flushdb()
        assert ledger.hold("somebody") == "somebody"
        with pytest.raises(RunTaken, match="somebody"):
            place.keep()
    assert ledger.holder() == "somebody", "who lost the place does not free it"


def test_an_error_that_nobody_foresaw_ends_a_run_after_three_tries(
    server: RedisServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def ends_so(*_: object) -> None:
        tries.append(1)
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr(serve, "carry_out", ends_so)
    service = serve._Service(server.url)
    while service._orphan(RUN) is not None:
        assert len(tries) < 10
        service._drive(record())
    assert len(tries) == 3
    progress = ledger.progress()
    assert progress is not None
    assert (progress.state, "ZeroDivisionError" in progress.reason) == ("failed", True)
    assert "secret" not in progress.reason


@settings(max_examples=settings.default.max_examples // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(["state", "jobs", "enqueued", "done", "dead", "deaths", "rows", "first_claim", "record"]),
    value=st.sampled_from([b"running", b"nan", b"1e999", b"{}", b"\xff"]) | st.binary(max_size=9),
)
def test_whatever_is_written_over_a_ledger_ends_no_service(
    server: RedisServer, client: redis.Redis, field: str, value: bytes
) -> None:
    ledger = Ledger(client, RUN)
    ledger.open(record())
    client.hset(RunKeys(RUN).run, field, value)
    client.hset("vecmill:schedules", value, value)
    client.hset("vecmill:schedules", "nightly", value)
    client.set("vecmill:schedule:nightly", value)
    client.zadd("vecmill:runs", {value or b"x": 1})
    client.hset(WORKERS_KEY, value, value)
    service = serve._Service(server.url)
    service._start = lambda *_: None
    service.look()
    assert len(_statuses(None, server.url)) <= 2


def test_a_name_of_ours_that_holds_something_else_ends_no_service(server: RedisServer, client: redis.Redis) -> None:
    client.zadd("vecmill:runs", {RUN: 1})
    client.set(RunKeys(RUN).run, "a string")
    service = serve._Service(server.url)
    assert service._orphan(RUN) is None
    service.look()
