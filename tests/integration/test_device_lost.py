"""A worker whose device is lost hands back its jobs, ends with a code that asks for another, and nothing is missing."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import producer
from producer.embedded.redis_server import RedisServer
from schemas.transport import DEVICE_LOST
from tests.integration.conftest import Processes, texts

pytestmark = pytest.mark.integration

ROWS = 3000
LOSE = "job"


def test_a_lost_device_ends_its_worker_for_a_restart(
    vecmill: Processes, server: RedisServer, tiny_model: Path, tmp_path: Path
) -> None:
    rows = [f"{text} {LOSE}" if at == ROWS // 2 else text for at, text in enumerate(texts(ROWS))]
    pq.write_table(pa.table({"id": [f"doc-{at}" for at in range(ROWS)], "text": rows}), tmp_path / "c.parquet")
    words = json.loads((tiny_model / "tokenizer.json").read_text())["model"]["vocab"]
    here = Path(__file__).parent
    loses = {
        "PYTHONPATH": os.pathsep.join([str(here / "killer"), str(here.parents[1])]),
        "TOKEN_THAT_KILLS": "-1",
        "TOKEN_THAT_LOSES_THE_DEVICE": str(words[LOSE]),
        "VECMILL_WORKER": "loses",
    }
    worker = ("worker", "--broker", server.url, "--device", "cpu", "--allow-root", str(tmp_path))
    first = vecmill.start(*worker, "--jobs-in-flight", "3", **loses)
    embed = vecmill.start(
        "embed", tmp_path / "c.parquet", "--model", tiny_model, "--to", tmp_path / "table", "--broker", server.url,
        "--dtype", "float32",
    )  # fmt: skip
    assert first.wait(150) == DEVICE_LOST, first.log.read_text()
    said = first.log.read_text()
    assert said.count("the device is lost: this worker ends") == 1
    second = vecmill.start(*worker)
    assert embed.wait(150) == 0, f"{embed.log.read_text()}\n{second.log.read_text()}"
    ids, _ = producer.read(str(tmp_path / "table"))
    assert Counter(ids) == Counter(f"doc-{at}" for at in range(ROWS))
