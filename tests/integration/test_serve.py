"""Who may begin a run, and what a lost race says of it: with a real Redis, and no process beside."""

import pytest
import redis

from producer.commands import serve
from producer.commands.embed import _detach
from producer.display import Silent
from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from producer.place import Place
from producer.request import Where
from schemas.errors import RunFailed, RunTaken
from schemas.job import Job
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
        assert _detach(record(), Where(broker=server.url)) == 0
        assert done(ledger) == 1, "only who drives the run may count its jobs anew"
    assert _detach(record(), Where(broker=server.url)) == 0
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
