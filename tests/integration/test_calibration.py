"""Kills while the ranges of a quantized store are looked for: they are found once, and every id arrives once."""

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import redis
from deltalake import DeltaTable

import producer
from producer.calibrate import SAMPLES_FOLDER, sample_run
from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger, known_runs
from producer.table import open_table, read_record
from schemas.ledger import RunKeys
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_kills import RUN, embed

pytestmark = pytest.mark.integration

ROWS = 3_000
FINDS = "to find the ranges"


class Shared(NamedTuple):
    """A quantized run on a Redis that is there already: its command, its table, and where the Redis is."""

    command: list[object]
    table: Path
    broker: dict[str, str]


@pytest.fixture
def shared(server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path) -> Shared:
    table = tmp_path / "table"
    command = [*embed(corpus(ROWS), tiny_model, table), "--store", "int8"]
    return Shared(command, table, {"VECMILL_BROKER_URL": server.url})


def sample_parts(table: Path) -> set[Path]:
    return set((table / SAMPLES_FOLDER / sample_run(RUN)).glob("part-*.parquet"))


def calibrating(table: Path) -> bool:
    """Whether the sample has begun and its end is not in sight."""
    return 1 <= len(sample_parts(table)) <= 4


def assert_one_set_of_ranges(table: Path) -> None:
    """Every id once; the record, the version and every part name the same ranges; nothing is left of the sample."""
    state, record = open_table(str(table)), read_record(str(table), RUN)
    assert state is not None
    assert record is not None
    assert state.ranges is not None
    assert state.ranges == record.ranges
    ids, codes = producer.read(str(table), codes=True)
    assert Counter(ids) == Counter(f"doc-{at}" for at in range(ROWS))
    assert codes.dtype.name == "int8"
    assert len(DeltaTable(table).history()) == 1
    assert not (table / SAMPLES_FOLDER).exists()
    assert not (table / "_errors").exists()


def kill_with_all_children(run: "subprocess.Popen[str]") -> None:
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert not psutil.wait_procs(children, timeout=30)[1]


def test_a_producer_killed_while_calibrating_and_again_right_after(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), "--store", "int8", "--workers", "1")
    wait_until(lambda: calibrating(table), or_ended=run)
    kill_with_all_children(run)
    survivors = {path: path.stat().st_mtime_ns for path in sample_parts(table)}
    record = read_record(str(table), RUN)
    assert record is not None
    assert record.lacks_ranges, "killed too late to prove anything"

    again = vecmill.start("resume", RUN, "--json")
    wait_until(lambda: any((table / RUN).glob("part-*.parquet")), or_ended=again)
    assert again.log.read_text().count(FINDS) == 1
    assert survivors
    kill_with_all_children(again)
    found = read_record(str(table), RUN)
    assert found is not None
    assert found.ranges is not None

    done = vecmill.run("resume", RUN, "--json")
    assert done.returncode == 0, done.stderr
    assert FINDS not in done.stderr, "the ranges are found once"
    assert read_record(str(table), RUN) == found
    assert_one_set_of_ranges(table)


def test_a_worker_killed_while_calibrating(vecmill: Processes, shared: Shared) -> None:
    table, broker = shared.table, shared.broker
    victim = vecmill.start("worker", "--allow-root", table.parent, **broker)
    run = vecmill.start(*shared.command, **broker)
    wait_until(lambda: calibrating(table), or_ended=run)
    os.killpg(victim.pid, signal.SIGKILL)
    record = read_record(str(table), RUN)
    assert record is not None
    assert record.lacks_ranges, "killed too late to prove anything"
    vecmill.start("worker", "--allow-root", table.parent, **broker)
    run.communicate(timeout=300)
    log = run.log.read_text()
    assert run.returncode == 0, log
    assert log.count(FINDS) == 1
    assert_one_set_of_ranges(table)


def test_serve_takes_over_a_run_that_died_while_calibrating(
    vecmill: Processes, shared: Shared, client: redis.Redis
) -> None:
    table, broker = shared.table, shared.broker
    run = vecmill.start(*shared.command, **broker)
    sample, ledger = Ledger(client, sample_run(RUN)), Ledger(client, RUN)
    # Nobody works yet, so that it is killed in the middle for certain.
    wait_until(lambda: sample.progress() is not None, or_ended=run)
    told = json.loads(vecmill.run("status", "--json", **broker).stdout)
    assert [(one["run"], one["state"]) for one in told] == [(RUN, "running")]
    assert "int8 codes are being found" in told[0]["reason"]
    refused = vecmill.run("resume", sample.run, **broker)
    assert (refused.returncode, RUN in refused.stderr) == (2, True)
    run.kill()
    run.wait()
    wait_until(lambda: ledger.holder() is None)
    assert f"vecmill resume {RUN}" in vecmill.run("status", RUN, **broker).stdout

    vecmill.start("worker", "--allow-root", table.parent, **broker)
    serve = vecmill.start("serve", **broker)

    def committed() -> bool:
        progress = ledger.progress()
        return progress is not None and progress.state == "committed"

    wait_until(committed, or_ended=serve)
    assert serve.log.read_text().count(FINDS) == 1
    assert_one_set_of_ranges(table)
    assert known_runs(client) == [RUN]
    assert not [*client.keys("*sample*")]


def test_pausing_and_cancelling_while_calibrating(vecmill: Processes, shared: Shared, client: redis.Redis) -> None:
    broker = shared.broker
    run = vecmill.start(*shared.command, **broker)
    both = Ledger(client, RUN), Ledger(client, sample_run(RUN))

    def states() -> set[str]:
        return {"" if (progress := ledger.progress()) is None else progress.state for ledger in both}

    wait_until(lambda: states() == {"running"}, or_ended=run)
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        if verb == "cancel":
            assert run.poll() is None
        done = vecmill.run(verb, RUN, **broker)
        assert done.returncode == 0, done.stderr
        if verb != "cancel":
            assert states() == {state}
    assert run.wait(timeout=60) == 1
    assert f"run {RUN} was cancelled" in run.log.read_text()
    progress = both[0].progress()
    assert progress is not None
    assert progress.state == "cancelled"


def test_the_producers_place_is_never_free_in_mid_run(vecmill: Processes, shared: Shared, client: redis.Redis) -> None:
    table, broker = shared.table, shared.broker
    vecmill.start("worker", "--allow-root", table.parent, **broker)
    ledger, over = Ledger(client, RUN), threading.Event()
    seen: list[tuple[bytes | None, bytes | None]] = []

    def look() -> None:
        raw = redis.Redis.from_url(broker["VECMILL_BROKER_URL"])
        while not over.is_set():
            with raw.pipeline() as pipe:
                now = tuple(pipe.get(RunKeys(RUN).producer).hget(RunKeys(RUN).run, "state").execute())
            if not seen or seen[-1] != now:
                seen.append(now)

    run = vecmill.start(*shared.command, **broker)
    watcher = threading.Thread(target=look)
    watcher.start()
    run.communicate(timeout=300)
    over.set()
    watcher.join()
    assert run.returncode == 0, run.log.read_text()
    while seen[0][0] is None:
        seen.pop(0)
    before_the_end = [holder for holder, state in seen if state != b"committed"]
    assert None not in before_the_end, "somebody else could have begun with the run"
    assert len(set(before_the_end)) == 1
    assert ledger.holder() is None
