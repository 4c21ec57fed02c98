"""Schedules on a real Redis, by a clock that is set: one run per tick, whoever fires it and whatever is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from deltalake import DeltaTable

from producer.broker import Broker
from producer.commands.scheduled import scheduled
from producer.display import Silent
from producer.embedded.redis_server import RedisServer
from producer.ledger import known_runs
from producer.schedule import Listed, Schedule, Scheduler, ScheduleStore, listed
from schemas.ledger import RunKeys
from tests.integration.conftest import Processes, wait_until

pytestmark = pytest.mark.integration

DAY = 86_400
#: A day's beginning; ticks are at 3:00.
BEGIN = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())


class World:
    """A schedule `nightly`, a clock that is set, and services that look when they are told to."""

    def __init__(self, broker: Broker, command: tuple[str, ...]) -> None:
        self.broker = broker
        self.now = float(BEGIN)
        self.store = ScheduleStore(broker.client)
        self.command = command
        self.services = [self.service(), self.service()]

    def service(self) -> Scheduler:
        return Scheduler(self.broker, Silent(), clock=lambda: self.now)

    def add(self, **options: Any) -> None:
        kept = Schedule(**{"name": "nightly", "cron": "0 3 * * *", "request": scheduled(self.command), **options})
        assert self.store.add(kept, now=self.now)

    def look(self, *services: Scheduler) -> None:
        """All of them find out what is due before any of them fires it."""
        found = [(service, due) for service in services or self.services for due in service.due()]
        for service, due in found:
            service.fire(due)

    def day(self, number: int) -> None:
        """It is shortly after the tick of a day."""
        self.now = BEGIN + number * DAY + 3 * 3600 + 30
        self.look()

    def end(self, state: str = "committed") -> None:
        for run in self.runs():
            if self.state(run) in ("running", "paused"):
                self.broker.ledger(run).set_state(state, "why" if state == "failed" else "")

    def runs(self) -> list[str]:
        return known_runs(self.broker.client)

    def state(self, run: str) -> str:
        progress = self.broker.ledger(run).progress()
        assert progress is not None
        return progress.state

    def listed(self) -> Listed:
        (one,) = listed(self.broker, now=self.now)
        return one


def of_day(number: int) -> str:
    return f"nightly-{datetime.fromtimestamp(BEGIN + number * DAY, UTC):%Y%m%d}T030000Z"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "alpha"}) + "\n")
    return path


@pytest.fixture
def world(server: RedisServer, source: Path, tiny_model: Path, tmp_path: Path) -> World:
    command = ("embed", str(source), "--model", str(tiny_model), "--to", str(tmp_path / "table"))
    return World(Broker(server.url), command)


def test_two_services_fire_each_tick_once(world: World) -> None:
    world.add()
    world.look()
    assert world.runs() == [], "no tick has come since it was added"
    for number in range(3):
        world.day(number)
        world.look()
        world.end()
    assert world.runs() == [of_day(0), of_day(1), of_day(2)]
    assert (world.listed().next, world.listed().last) == ("2026-11-27 03:00+00:00", "2026-11-26 03:00+00:00")


def test_missed_ticks_run_once(world: World) -> None:
    world.add()
    world.day(0)
    world.end()
    world.day(20)
    world.look()
    assert world.runs() == [of_day(0), of_day(20)]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_tick_is_passed_over_while_the_run_before_lasts(world: World, state: str) -> None:
    world.add(overlap="skip")
    world.day(0)
    world.broker.ledger(of_day(0)).set_state(state)
    world.day(1)
    world.day(2)
    assert (world.runs(), world.listed().skipped, world.listed().state) == ([of_day(0)], 2, state)
    world.broker.ledger(of_day(0)).set_state("committed")
    world.look()
    assert world.runs() == [of_day(0)], "what was passed over does not come later"
    world.day(3)
    assert (world.runs(), world.listed().skipped) == ([of_day(0), of_day(3)], 0)


def test_a_tick_waits_for_the_run_before(world: World) -> None:
    world.add(overlap="queue")
    world.day(0)
    world.day(1)
    world.day(2)
    assert world.runs() == [of_day(0)]
    world.end()
    world.look()
    world.look()
    assert world.runs() == [of_day(0), of_day(2)], "of several that wait, the latest"


def test_a_schedule_that_fails_is_shown_and_goes_on(world: World, source: Path) -> None:
    world.add()
    world.day(0)
    world.end("failed")
    assert (world.listed().failures, world.listed().failing, world.listed().detail) == (1, False, "why")
    text = source.read_text()
    source.unlink()
    world.day(1)
    assert (world.listed().state, world.listed().failures) == ("failed", 2)
    world.day(2)
    world.look()
    shown = world.listed()
    assert (shown.failures, shown.failing, shown.run) == (3, True, of_day(2))
    assert "FAILING: 3 times in a row" in shown.line()
    assert "corpus.jsonl" in shown.line().splitlines()[1]
    assert world.runs() == [of_day(0)]
    source.write_text(text)
    world.day(3)
    assert world.listed().failures == 3, "a run that lasts is no success yet"
    world.end()
    assert (world.listed().state, world.listed().failures, world.listed().failing) == ("committed", 0, False)


def test_a_run_that_was_retried_is_no_failure_any_more(world: World) -> None:
    world.add()
    world.day(0)
    world.end("failed")
    world.broker.ledger(of_day(0)).set_state("committed")
    assert (world.listed().state, world.listed().failures) == ("committed", 0)


def test_what_was_removed_meanwhile_is_not_fired(world: World) -> None:
    world.add()
    world.now = BEGIN + DAY
    (due,) = world.services[0].due()
    assert world.store.remove("nightly")
    world.services[0].fire(due)
    assert world.runs() == []
    assert list(world.services[0].due()) == []


def test_a_schedule_that_cannot_be_read_stops_no_other(world: World) -> None:
    world.add()
    world.broker.client.hset("vecmill:schedules", "from the future", '{"name": "from the future"}')
    world.day(0)
    assert world.runs() == [of_day(0)]


def service_killed_at(moment: str, now: str, vecmill: Processes, server: RedisServer) -> "subprocess.Popen[str]":
    """A process of its own, which runs elsewhere and finds these tests by their path."""
    command = [sys.executable, "-m", "tests.integration.killed_at_fire", server.url, now, moment]
    return vecmill.start_command(command, PYTHONPATH=str(Path(__file__).parents[2]))


@pytest.mark.parametrize(("moment", "known"), [("begin", []), ("open", []), ("note", [of_day(0)])])
def test_a_service_killed_at_the_moment_of_fire(
    world: World, vecmill: Processes, server: RedisServer, tmp_path: Path, moment: str, known: list[str]
) -> None:
    """After the claim of the tick; after the run is recorded; after it has begun and before that is noted."""
    world.add(overlap="queue")
    world.now = BEGIN + DAY
    killed = service_killed_at(moment, str(world.now), vecmill, server)
    assert killed.wait(timeout=150) == -signal.SIGKILL, killed.log.read_text()
    assert world.runs() == known
    standing = world.store.standing("nightly")
    assert standing is not None
    assert (standing.firing, standing.run) == (BEGIN + 3 * 3600, None), "killed too late to prove anything"
    if moment != "note":
        world.look()
        assert world.runs() == [], "its place is not free yet"
        # Which it would be by itself some seconds after the last sign of life.
        world.broker.client.delete(RunKeys(of_day(0)).producer)
    else:
        world.broker.ledger(of_day(0)).set_state("paused")
    world.now = BEGIN + 3 * DAY
    world.look()
    world.look()
    assert world.state(of_day(0)) == ("paused" if known else "running"), "what has begun is not begun again"
    assert world.runs() == [of_day(0)], "the tick that was claimed, not a later one beside it"
    assert [path.stem for path in (tmp_path / "table" / "_runs").glob("*.json")] == [of_day(0)]
    world.end()
    world.look()
    assert world.runs() == [of_day(0), of_day(2)]


def test_from_the_command_line_to_the_table(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    """Two real services, of which one dies while it fires, a Redis that is killed, and a run that is asked for."""
    broker = {"VECMILL_BROKER_URL": server.url}
    os.symlink(corpus(300), tmp_path / "rows.parquet")
    os.symlink(tiny_model, tmp_path / "model")
    embed = ["embed", "rows.parquet", "--model", "model", "--to", "table", "--dtype", "float32"]
    add = ["schedule", "add", "nightly", "--cron", "* * * * *", "--overlap", "queue", "--"]
    added = vecmill.run(*add, *embed, **broker)
    assert added.returncode == 0, added.stderr
    assert vecmill.run(*add, *embed, **broker).returncode == 0, "the same again changes nothing"
    assert vecmill.run(*add, *embed, "--keep-text", **broker).returncode == 2
    kept = json.loads(vecmill.run("schedule", "list", "--json", **broker).stdout)[0]
    assert kept["source"]["paths"] == [str(tmp_path / "rows.parquet")]
    assert (kept["model"]["model"], kept["to"]) == (str(tiny_model), str(tmp_path / "table"))

    client = redis.Redis.from_url(server.url)
    os.kill(int(client.info()["process_id"]), signal.SIGKILL)
    wait_until(server.keep_alive)
    # As if nobody had served for an hour: the tick that was missed is due now.
    store = ScheduleStore(client)
    hour_ago = int(store.now()) - 3600
    assert store.change("nightly", lambda standing: standing.model_copy(update={"done_until": hour_ago}))
    now = str(store.now())
    killed = service_killed_at("open", now, vecmill, server)
    assert killed.wait(timeout=150) == -signal.SIGKILL, killed.log.read_text()

    services = [vecmill.start("serve", **broker) for _ in range(2)]
    vecmill.start("worker", "--allow-root", tmp_path, **broker)

    watching = Broker(server.url)

    def shown() -> tuple[str | None, str]:
        (one,) = listed(watching, now=store.now())
        return one.run, one.state

    wait_until(lambda: shown()[1] in ("committed", "unchanged"), or_ended=services[0])
    # From now on it fires only when it is asked to.
    tomorrow = int(store.now()) + DAY
    assert store.change("nightly", lambda standing: standing.model_copy(update={"done_until": tomorrow}))
    asked = vecmill.run("schedule", "run", "nightly", **broker).stdout.strip()
    wait_until(lambda: shown() == (asked, "unchanged"), or_ended=services[1])
    watching.close()
    assert DeltaTable(tmp_path / "table").version() == 0, "what did not change makes no version"
    assert vecmill.run("schedule", "remove", "nightly", **broker).returncode == 0
    assert vecmill.run("schedule", "list", **broker).stdout == "no schedules\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runs", "table"], "only embed"),
        (["embed", "rows.jsonl", "--to", "table"], "--model"),
        (["embed", "rows.jsonl", "--model", "a/b", "--to", "table", "--wat"], "--wat"),
        (["embed", "rows.jsonl", "--model", "a/b", "--to", "t", "--broker", "redis://:secret@host"], "--broker cannot"),
        (["embed", "s3://key:secret@bucket/rows", "--model", "a/b", "--to", "t"], "no password"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_at_once(
    vecmill: Processes, server: RedisServer, arguments: list[str], told: str
) -> None:
    refused = vecmill.run(
        "schedule", "add", "n", "--cron", "0 3 * * *", "--", *arguments, VECMILL_BROKER_URL=server.url
    )
    assert refused.returncode == 2, refused.stderr
    assert told in refused.stderr
    assert "secret" not in refused.stderr
    assert redis.Redis.from_url(server.url).keys("vecmill:schedule*") == []
