"""A Redis that is full, or a replica for a while, costs time and no row, nor a worker."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_kills import ROWS, RUN, embed
from tests.integration.test_runs import assert_holds_each_once

pytestmark = pytest.mark.integration


Switch = Callable[[redis.Redis], object]


def full(client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)


def roomy(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)


def replica(client: redis.Redis) -> None:
    # Of a server that is not there: what it holds, it keeps.
    client.slaveof("127.0.0.1", 1)


def master(client: redis.Redis) -> None:
    client.slaveof()


@pytest.mark.parametrize(("refuse", "allow"), [(full, roomy), (replica, master)])
def test_refusing_in_mid_run_it_is_waited_for(
    refuse: Switch, allow: Switch, vecmill: Processes, server: RedisServer, client: redis.Redis,
    corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    ledger = Ledger(client, RUN)
    worker = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), **broker)

    def done() -> int:
        progress = ledger.progress()
        return 0 if progress is None else progress.done

    wait_until(lambda: done() >= 3, or_ended=run)
    refuse(client)
    wait_until(lambda: "Redis does not answer, or takes nothing" in run.log.read_text(), or_ended=run)
    wait_until(lambda: "Redis takes nothing" in worker.log.read_text(), or_ended=worker)
    allow(client)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, run.log.read_text()
    assert json.loads(output.splitlines()[-1])["embedded"] == ROWS
    assert worker.poll() is None, worker.log.read_text()
    assert_holds_each_once(table, ROWS)


def test_full_from_the_beginning_it_is_said_without_a_traceback(
    vecmill: Processes, server: RedisServer, client: redis.Redis, corpus: Callable[[int], Path], tiny_model: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    client.config_set("maxmemory", 1)
    done = vecmill.run(*embed(corpus(ROWS), tiny_model, tmp_path / "table"), VECMILL_BROKER_URL=server.url)
    assert done.returncode == 1
    assert "INFO memory" in done.stderr
    assert "Traceback" not in done.stderr
