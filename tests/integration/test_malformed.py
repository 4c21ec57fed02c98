"""Garbage in the queue, before, between and after real messages: put aside, counted, and no worker ends of it."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from producer.embedded.redis_server import RedisServer
from schemas.transport import MALFORMED_COUNT, MALFORMED_QUEUE, MOST_ELEMENT_BYTES, MOST_MALFORMED, QUEUE, TASK_NAME
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_runs import assert_holds_each_once

pytestmark = pytest.mark.integration

ROWS = 6000
HEADERS = {"task": TASK_NAME, "id": "x"}
PROPERTIES = {"body_encoding": "base64", "delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": QUEUE}}
SHAPE = {"content-type": "application/json", "content-encoding": "utf-8", "headers": HEADERS, "properties": PROPERTIES}
GARBAGE = [
    b"secret words, not JSON",
    b"\xff\xfe\x00",
    b"[1, 2]",
    b"{}",
    b"[" * 50_000,
    b"x" * (2 * MOST_ELEMENT_BYTES),
    json.dumps(SHAPE | {"body": "%%% no base64"}).encode(),
    json.dumps(SHAPE | {"body": base64.b64encode(b"no JSON").decode()}).encode(),
    json.dumps(SHAPE | {"body": base64.b64encode(b"[[], {}, {}]").decode()}).encode(),
    json.dumps(SHAPE | {"body": "", "content-type": "application/x-unknown"}).encode(),
    json.dumps(SHAPE | {"body": "", "headers": {"task": "other.task", "id": "x"}}).encode(),
]


def test_a_run_ends_as_if_the_garbage_were_not_there(
    vecmill: Processes, server: RedisServer, client: redis.Redis,
    corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    table, broker = tmp_path / "table", {"VECMILL_BROKER_URL": server.url}
    client.lpush(QUEUE, *GARBAGE)
    worker = vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start("embed", corpus(ROWS), "--model", tiny_model, "--to", table, "--json", **broker)
    wait_until(lambda: bool(client.llen(QUEUE)), or_ended=run)
    client.lpush(QUEUE, *GARBAGE)  # behind the messages that wait
    client.rpush(QUEUE, *GARBAGE)  # before them
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, run.log.read_text()
    client.lpush(QUEUE, *GARBAGE)
    wait_until(lambda: int(client.get(MALFORMED_COUNT) or 0) == 4 * len(GARBAGE), or_ended=worker)
    assert worker.poll() is None
    assert_holds_each_once(table, ROWS)
    kept = client.lrange(MALFORMED_QUEUE, 0, -1)
    assert sorted(kept) == sorted(4 * [element[:MOST_ELEMENT_BYTES] for element in GARBAGE])
    log = worker.log.read_text()
    assert "secret words" not in log
    assert hashlib.sha256(GARBAGE[0]).hexdigest() in log
    said = vecmill.run("status", json.loads(output)["run"], **broker).stdout
    assert f"{4 * len(GARBAGE)} malformed" in said
    client.lpush(QUEUE, *[b"{}"] * (MOST_MALFORMED + 10))
    wait_until(lambda: client.llen(QUEUE) == 0 and client.llen(MALFORMED_QUEUE) == MOST_MALFORMED, or_ended=worker)
