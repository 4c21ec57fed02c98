"""Runs of quantized stores: ranges are found once, through the queue, and stay the table's."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import redis
from sentence_transformers import SentenceTransformer
from sentence_transformers.util.quantization import quantize_embeddings

import producer
from producer.embedded.redis_server import RedisServer
from producer.ledger import known_runs
from producer.table import open_table, read_record
from tests.integration.conftest import Processes, texts
from tests.integration.test_runs import outcome

pytestmark = pytest.mark.integration


def assert_codes(table: Path, model: Path, rows: int) -> None:
    """The codes are the oracle's for its own vectors and the ranges of the table, or one bucket beside."""
    state = open_table(str(table))
    assert state is not None
    assert state.ranges is not None
    vectors = SentenceTransformer(str(model), device="cpu").encode(texts(rows))
    wanted = quantize_embeddings(vectors, "int8", ranges=state.ranges.array())
    ids, codes = producer.read(str(table), codes=True)
    place = [int(id_.removeprefix("doc-")) for id_ in ids]
    assert sorted(place) == list(range(rows))
    assert np.abs(codes.astype(int) - wanted[place]).max() <= 1
    _, decoded = producer.read(str(table))
    assert (decoded * vectors[place]).sum(1).min() > 0.99


def test_ranges_are_found_by_the_workers_and_kept(
    served: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    command = ["embed", corpus(700), "--model", tiny_model, "--to", table, "--dtype", "float32", "--store", "int8"]
    result = outcome(served.run(*command, "--keep-text", "--json"))
    assert (result["embedded"], result["failed"], result["version"]) == (700, 0, 0)
    assert_codes(table, tiny_model, 700)
    first = open_table(str(table))
    record = read_record(str(table), result["run"])
    assert first is not None
    assert record is not None
    assert record.ranges == first.ranges
    assert sorted(os.listdir(table)) == sorted(["_delta_log", "_runs", result["run"]])

    hits = json.loads(served.run("query", table, texts(300)[42], "-k", "3", "--json").stdout)
    assert hits[0]["id"] == "doc-42"
    verified = served.run("verify", table, "--sample", "50")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    refused = served.run(*command[:-1], "binary")
    assert (refused.returncode, "--mode replace" in refused.stderr) == (2, True)
    again = [*command, "--limit", "100", "--mode", "replace", "--json"]
    done = served.run(*again)
    assert outcome(done)["version"] == 1
    assert "to find the ranges" not in done.stderr
    second = open_table(str(table))
    assert second is not None
    assert second.ranges == first.ranges
    ids, before = producer.read(str(table), version=0, codes=True)
    ids_after, after = producer.read(str(table), codes=True)
    kept = {id_: row for id_, row in zip(ids, before, strict=True)}
    assert np.abs(np.stack([kept[id_] for id_ in ids_after]).astype(int) - after).max() <= 1


def test_a_detached_run_finds_its_ranges_in_the_cluster(
    vecmill: Processes,
    server: RedisServer,
    client: redis.Redis,
    corpus: Callable[[int], Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    table = tmp_path / "table"
    broker = {"VECMILL_BROKER_URL": server.url}
    command = ["embed", corpus(300), "--model", tiny_model, "--to", table, "--store", "int8", "--dtype", "float32"]
    run = vecmill.run(*command, "--detach", **broker).stdout.strip()
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    assert outcome(vecmill.run("resume", run, "--json", **broker))["embedded"] == 300
    assert_codes(table, tiny_model, 300)
    assert known_runs(client) == [run]
    assert not [key for key in client.keys("*sample*")]
    assert not (table / "_ranges").exists()


def test_binary_needs_no_ranges(
    served: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    command = ["embed", corpus(300), "--model", tiny_model, "--to", table, "--dtype", "float32", "--store", "ubinary"]
    done = served.run(*command, "--keep-text", "--json")
    assert outcome(done)["embedded"] == 300
    assert "to find the ranges" not in done.stderr
    ids, bits = producer.read(str(table))
    vectors = SentenceTransformer(str(tiny_model), device="cpu").encode(texts(300))
    wanted = quantize_embeddings(vectors, "ubinary")
    place = [int(id_.removeprefix("doc-")) for id_ in ids]
    assert (bits != wanted[place]).mean() < 0.001
    hits = json.loads(served.run("query", table, texts(300)[42], "-k", "3", "--json").stdout)
    assert "doc-42" in {hit["id"] for hit in hits}
    assert hits[0]["score"] == pytest.approx(1.0)
    assert served.run("verify", table, "--sample", "50").returncode == 0
