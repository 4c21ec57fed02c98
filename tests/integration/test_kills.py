"""Kill -9 of each part in mid-run: every id exactly once, no part torn, and what was done is not done again."""

import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger, living_workers
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_runs import assert_holds_each_once

pytestmark = pytest.mark.integration

ROWS = 20_000
RUN = "killed"


def parts(table: Path) -> set[Path]:
    return set((table / RUN).glob("part-*.parquet"))


def embed(corpus: Path, model: Path, table: Path) -> list[str | Path]:
    return ["embed", corpus, "--model", model, "--to", table, "--run-id", RUN, "--json"]


def test_a_killed_worker(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    ledger = Ledger(redis.Redis.from_url(server.url), RUN)
    victim = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), **broker)

    def in_the_middle() -> bool:
        progress = ledger.progress()
        return progress is not None and progress.done >= 3 and progress.leased > 0

    wait_until(in_the_middle, or_ended=run)
    os.killpg(victim.pid, signal.SIGKILL)
    before = ledger.progress()
    assert before is not None
    assert not before.ended, "the worker was killed too late to prove anything"
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, run.log.read_text()
    assert json.loads(output.splitlines()[-1])["embedded"] == ROWS
    assert_holds_each_once(table, ROWS)


def test_a_worker_that_is_told_to_end_finishes_what_it_has(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    ledger = Ledger(redis.Redis.from_url(server.url), RUN)
    leaving = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), **broker)
    wait_until(lambda: len(parts(table)) >= 3, or_ended=run)
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(timeout=150) == 0
    log = leaving.log.read_text()
    assert "attempt" not in log, "nothing was given back"
    progress = ledger.progress()
    assert progress is not None
    assert (progress.leased, progress.ended) == (0, False)
    assert len(parts(table)) == progress.done
    assert not living_workers(redis.Redis.from_url(server.url)), "it left the list"
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run.communicate(timeout=300)
    assert run.returncode == 0, run.log.read_text()
    assert_holds_each_once(table, ROWS)


def test_a_killed_producer_with_everything_it_started(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table))
    wait_until(lambda: len(parts(table)) >= 3, or_ended=run)
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert not psutil.wait_procs(children, timeout=30)[1], "Redis and workers end with their producer"
    survivors = {path: path.stat().st_mtime_ns for path in parts(table)}
    assert len(survivors) < 64, "the producer was killed too late to prove anything"
    done = vecmill.run("resume", RUN, "--json")
    assert done.returncode == 0, done.stderr
    assert_holds_each_once(table, ROWS)
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors, "what was done is not done again"


def test_a_killed_redis_of_a_cluster_that_comes_back_empty(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    client = redis.Redis.from_url(server.url)
    worker = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), **broker)
    wait_until(lambda: len(parts(table)) >= 3, or_ended=run)
    os.kill(int(client.info()["process_id"]), signal.SIGKILL)
    run.kill()
    run.wait()
    shutil.rmtree(tmp_path / "redis" / "appendonlydir")
    assert len(parts(table)) < 64, "killed too late to prove anything"
    wait_until(server.keep_alive)
    assert not client.exists(f"vecmill:run:{RUN}"), "the ledger is lost for good"
    survivors = {int(path.stem.removeprefix("part-")) for path in parts(table)}
    done = vecmill.run("resume", RUN, "--json", **broker)
    assert done.returncode == 0, done.stderr
    assert_holds_each_once(table, ROWS)
    assert worker.poll() is None, "the worker outlives a restart of Redis"
    done_by = Counter(int(job) for job in re.findall(rf"job {RUN}/(\d+): \d+ rows", worker.log.read_text()))
    assert survivors
    assert {job for job in survivors if done_by[job] > 1} == set(), "what has a part is not embedded again"


def test_a_killed_private_redis_is_started_again_in_mid_run(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table))
    wait_until(lambda: len(parts(table)) >= 3, or_ended=run)
    for child in psutil.Process(run.pid).children(recursive=True):
        if child.name() in ("valkey-server", "redis-server"):
            child.kill()
    output, _ = run.communicate(timeout=300)
    log = run.log.read_text()
    assert run.returncode == 0, log
    assert "private Redis had ended" in log
    assert json.loads(output.splitlines()[-1])["embedded"] == ROWS
    assert_holds_each_once(table, ROWS)


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table))
    wait_until(lambda: len(parts(table)) >= 1, or_ended=run)
    children = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=150) == 130
    assert f"vecmill resume {RUN}" in run.log.read_text()
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert vecmill.run("resume", RUN).returncode == 0
    assert_holds_each_once(table, ROWS)
