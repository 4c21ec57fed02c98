"""The worker as people start it: by the plain Celery command, watched by Celery's own tools."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from producer.embedded.redis_server import RedisServer
from tests.integration.conftest import Processes, wait_until

pytestmark = pytest.mark.integration

CELERY = [sys.executable, "-m", "celery", "-A", "worker.app"]


def inspect(vecmill: Processes, server: RedisServer, what: str) -> "subprocess.CompletedProcess[str]":
    env = vecmill.env | {"VECMILL_BROKER_URL": server.url}
    command = [*CELERY, "inspect", what, "--json", "--timeout", "2"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_plain_command_works_and_answers_celerys_inspection(vecmill: Processes, server: RedisServer) -> None:
    command = [*CELERY, "worker", "--pool", "threads", "--concurrency", "3", "--loglevel", "INFO"]
    worker = vecmill.start_command(command, VECMILL_BROKER_URL=server.url)
    wait_until(lambda: "ready" in worker.log.read_text(), or_ended=worker)
    ping = inspect(vecmill, server, "ping")
    assert ping.returncode == 0, ping.stderr
    assert [answer["ok"] for answer in json.loads(ping.stdout).values()] == ["pong"]
    assert list(json.loads(inspect(vecmill, server, "active").stdout).values()) == [[]]
    stats = next(iter(json.loads(inspect(vecmill, server, "stats").stdout).values()))
    assert stats["pool"]["max-concurrency"] == 3


def test_a_pool_that_cannot_work_is_refused_in_one_line(vecmill: Processes, server: RedisServer) -> None:
    worker = vecmill.start_command([*CELERY, "worker", "--pool", "prefork"], VECMILL_BROKER_URL=server.url)
    assert worker.wait(timeout=150) == 1
    log = worker.log.read_text()
    assert "vecmill needs the threads pool, not 'prefork'" in log
    assert "Traceback" not in log


def test_a_run_that_the_settings_do_not_allow_is_refused_and_the_reason_reaches_the_producer(
    vecmill: Processes, server: RedisServer, tiny_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "corpus.txt"
    source.write_text("alpha\nbeta\n")
    broker = {"VECMILL_BROKER_URL": server.url}
    vecmill.start("worker", "--allow-root", tmp_path / "elsewhere", **broker)
    done = vecmill.run("embed", source, "--model", tiny_model, "--to", tmp_path / "table", "--run-id", "no", **broker)
    assert done.returncode == 1
    assert "may not write to" in done.stderr
    assert "--allow-root" in done.stderr
    assert "vecmill retry no" in done.stderr
    vecmill.stop()
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    again = vecmill.run("retry", "no", **broker)
    assert again.returncode == 0, again.stderr
