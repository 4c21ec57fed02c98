"""A Redis that is full, or refuses writes for a while, costs time and no row."""

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


def test_full_in_mid_run_it_is_waited_for(
    vecmill: Processes, server: RedisServer, client: redis.Redis, corpus: Callable[[int], Path], tiny_model: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    ledger = Ledger(client, RUN)
    worker = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(*embed(corpus(ROWS), tiny_model, table), **broker)

    def done() -> int:
        progress = ledger.progress()
        return 0 if progress is None else progress.done

    wait_until(lambda: done() >= 3, or_ended=run)
    client.config_set("maxmemory", 1)
    wait_until(lambda: "takes nothing (command not allowed" in run.log.read_text(), or_ended=run)
    assert worker.poll() is None
    client.config_set("maxmemory", 0)
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
