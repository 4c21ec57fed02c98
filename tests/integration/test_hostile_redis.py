"""A Redis in which somebody else writes, and a real worker at it: the jobs fail with a reason, the worker lives on."""

import re
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
import redis

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from producer.model import resolve_model
from producer.queue import JobQueue
from schemas.ledger import MAX_ATTEMPTS, RunKeys
from schemas.payload import MOST_PAYLOAD_BYTES, encode_payload
from schemas.receipt import SourceRange
from schemas.run import RunRecord, SourceOptions
from schemas.spec import ModelOptions
from tests.integration.conftest import Processes, wait_until
from tests.unit.parts import a_payload
from tests.unit.test_payload import a_stream

pytestmark = pytest.mark.integration

ROWS = 8


def a_record(run: str, table: Path, model: Path) -> RunRecord:
    return RunRecord(
        run=run, table=str(table), source=SourceOptions(paths=("c",)), rows=3 * ROWS, source_state="s", job_rows=ROWS,
        spec=resolve_model(ModelOptions(model=str(model), dtype="float32")), created_at=time.time(),
    )  # fmt: skip


def a_bomb() -> bytes:
    """More zeros than a worker takes, in some kilobytes."""
    size = MOST_PAYLOAD_BYTES + (64 << 20)
    zeros = pa.StringArray.from_buffers(
        1, pa.array([0, size], pa.int32()).buffers()[1], pa.py_buffer(np.zeros(size, "b"))
    )
    bomb = a_stream(a_payload(["x"]).set_column(2, "text", zeros))
    assert len(bomb) < 1 << 20
    return bomb


def peak_bytes(process: psutil.Process) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def test_hostile_values_fail_their_jobs_and_no_worker(
    vecmill: Processes, server: RedisServer, client: redis.Redis, tiny_model: Path, tmp_path: Path
) -> None:
    worker = vecmill.start("worker", "--allow-root", tmp_path / "tables", VECMILL_BROKER_URL=server.url)
    queue, tables = JobQueue(server.url), tmp_path / "tables"
    good = encode_payload(a_payload([f"alpha {at}" for at in range(ROWS)]), SourceRange(start=(0, 0, 0), end=(0, 8, 8)))

    def begun(run: str, record: RunRecord, payload: bytes) -> Ledger:
        ledger = Ledger(client, run)
        ledger.open(record)
        ledger.enqueue(0, payload)
        return ledger

    def done(ledger: Ledger) -> bool:
        progress = ledger.progress()
        return progress is not None and progress.done == 1

    first = begun("first", a_record("first", tables / "t", tiny_model), good)
    queue.publish("first", [0])
    wait_until(lambda: done(first), or_ended=worker)
    before = peak_bytes(psutil.Process(worker.pid))

    (tables / "linked").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tables / "linked" / "link").symlink_to(tmp_path / "outside")
    hostile = {
        "bomb": (a_record("bomb", tables / "t", tiny_model), a_bomb(), "more than the"),
        "garbage": (a_record("garbage", tables / "t", tiny_model), b"x" * 1000, "is none"),
        "rows": (a_record("rows", tables / "t", tiny_model), a_stream(a_payload(["a"] * 9)), "has 8 at most"),
        "taken": (a_record("first", tables / "t", tiny_model), good, "that of another run"),
        "link": (a_record("link", tables / "linked", tiny_model), good, "behind a link"),
    }
    ledgers = {run: begun(run, record, payload) for run, (record, payload, _) in hostile.items()}
    for run in hostile:
        queue.publish(run, [0])
    wait_until(lambda: all(ledger.causes() for ledger in ledgers.values()), or_ended=worker)
    for run, (*_, why) in hostile.items():
        assert why in ledgers[run].causes()[0], run
    assert peak_bytes(psutil.Process(worker.pid)) < before + MOST_PAYLOAD_BYTES // 2
    assert list((tmp_path / "outside").iterdir()) == []

    for run in ("bomb", "garbage", "rows"):
        wait_until(lambda run=run: not client.exists(RunKeys(run).payload(0)), or_ended=worker)

    # What is mended is done, by the same worker.
    client.set(RunKeys("garbage").payload(0), good)
    client.delete(RunKeys("garbage").leases)
    queue.publish("garbage", [0])
    wait_until(lambda: done(ledgers["garbage"]), or_ended=worker)
    assert worker.poll() is None
    attempts = client.hget(RunKeys("bomb").attempts, "0")
    assert 1 <= int(attempts or 0) <= MAX_ATTEMPTS
    assert client.hget(RunKeys("link").attempts, "0") is None, "a refusal is no attempt"
