"""Whole runs, from files to a committed table, through real processes."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from deltalake import DeltaTable
from sentence_transformers import SentenceTransformer

import producer
from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from tests.integration.conftest import Processes, texts, wait_until

pytestmark = pytest.mark.integration


def outcome(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The JSON object on the last line of stdout."""
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def assert_holds_each_once(table: Path, rows: int) -> None:
    """Every id of the corpus exactly once, with its own vector (the oracle's, for a sample), and no torn part."""
    ids, vectors = producer.read(str(table))
    assert Counter(list(ids)) == Counter(f"doc-{at}" for at in range(rows))
    assert vectors.shape == (rows, 32)
    assert np.isfinite(vectors).all()
    for path in DeltaTable(table).file_uris():
        pq.read_metadata(path)


def assert_equals_oracle(table: Path, model: Path, said: list[str]) -> None:
    """The vectors of the table are those that sentence-transformers has for the texts, within 1e-6."""
    ids, vectors = producer.read(str(table))
    oracle = SentenceTransformer(str(model), device="cpu").encode(said)
    place = {f"doc-{at}": at for at in range(len(said))}
    np.testing.assert_allclose(vectors, oracle[[place[id_] for id_ in list(ids)]], atol=1e-6)


def test_embedded_from_file_to_table(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    done = vecmill.run(
        "embed", corpus(700), "--model", tiny_model, "--to", table, "--dtype", "float32", "--workers", "2", "--json"
    )
    result = outcome(done)
    assert (result["rows"], result["embedded"], result["chunks"], result["failed"]) == (700, 700, 700, 0)
    assert (result["version"], result["dims"], result["dtype"], result["device"]) == (0, 32, "float32", "cpu")
    assert result["padding"] == 1.0
    assert result["batches"] * result["batch_tokens"] == pytest.approx(result["tokens"], rel=0.01)
    assert result["tokens"] > 700
    assert 0 < result["seconds_encode"] < result["seconds"]
    assert_holds_each_once(table, 700)
    assert_equals_oracle(table, tiny_model, texts(700))
    assert not list(table.rglob("*.tmp"))
    assert pq.read_table(table / result["run"]).num_rows == 700


def test_texts_that_come_again_are_encoded_once_and_names_may_be_relative(
    served: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    said = ["sort a list", "list of the vector", "sort a list", "sort a list"] * 10
    pq.write_table(pa.table({"id": [f"doc-{at}" for at in range(40)], "text": said}), tmp_path / "rows.parquet")
    shutil.copytree(tiny_model, tmp_path / "model")
    done = served.run("embed", "rows.parquet", "--model", "model", "--to", "table", "--dtype", "float32",
                       "--json")  # fmt: skip
    result = outcome(done)
    assert (result["embedded"], result["duplicates"], result["padding"]) == (40, 38, 1.0)
    assert "38 texts had a vector already, or came again" in done.stderr
    assert_equals_oracle(tmp_path / "table", tiny_model, said)


def test_a_committed_run_is_left_alone(
    served: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    command = [
        "embed", corpus(300), "--model", tiny_model, "--to", table, "--run-id", "left-alone", "--json"
    ]  # fmt: skip
    first = outcome(served.run(*command))
    files = sorted(table.rglob("*"))
    for again in (command, ["resume", "left-alone", "--json"], ["resume", table, "--json"]):
        assert outcome(served.run(*again)) | {"seconds": 0} == first | {"seconds": 0}
        assert sorted(table.rglob("*")) == files
    other = served.run(*command, "--max-tokens", "8")
    assert other.returncode == 2
    assert "begun with another model" in other.stderr


def test_a_hub_model_from_the_local_cache(
    vecmill: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--acme--tiny"
    shutil.copytree(tiny_model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    table, cache = tmp_path / "table", {"HF_HUB_CACHE": str(tmp_path / "hub")}
    command = ["embed", corpus(300), "--model", "acme/tiny", "--to", table, "--workers", "1", "--dtype", "float32"]
    result = outcome(vecmill.run(*command, "--json", **cache))
    assert_equals_oracle(table, tiny_model, texts(300))
    record = json.loads((table / "_runs" / f"{result['run']}.json").read_text())
    assert (record["spec"]["model"], record["spec"]["content"]) == ("acme/tiny", f"hub:{commit}")


def test_a_table_is_replaced_only_when_that_is_asked_for(
    served: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    command = ["embed", corpus(300), "--model", tiny_model, "--to", table, "--json"]
    assert outcome(served.run(*command))["version"] == 0
    other = ["--max-tokens", "8", "--limit", "250"]
    for more, word in (
        (["--store", "int8"], "--mode replace"),
        (["--keep-text"], "other columns"),
        (other, "max_tokens"),
    ):
        refused = served.run(*command, *more)
        assert refused.returncode == 2, refused.stderr
        assert word in refused.stderr
    replaced = outcome(served.run(*command, "--mode", "replace", "--keep-text", "--limit", "250"))
    assert (replaced["version"], replaced["chunks"]) == (1, 250)
    assert_holds_each_once(table, 250)
    assert len(producer.read(str(table), version=0)[0]) == 300


def test_workers_come_and_go_around_a_named_broker(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    broker = {"VECMILL_BROKER_URL": server.url}
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    run = vecmill.start(
        "embed", corpus(6000), "--model", tiny_model, "--to", table, "--dtype", "float32", "--json", **broker
    )
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, run.log.read_text()
    assert json.loads(output.splitlines()[-1])["embedded"] == 6000
    assert_holds_each_once(table, 6000)
    status = json.loads(vecmill.run("status", json.loads(output)["run"], "--json", **broker).stdout)
    assert (status["state"], status["workers"], status["version"]) == ("committed", 2, 0)
    # As if the producer had died between the commit and its last word to Redis.
    ledger = Ledger(redis.Redis.from_url(server.url), status["run"])
    ledger.set_state("running")
    assert vecmill.run("resume", status["run"], **broker).returncode == 0
    progress = ledger.progress()
    assert progress is not None
    assert progress.state == "committed"


def test_a_detached_run_is_carried_out_by_serve(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    broker = {"VECMILL_BROKER_URL": server.url}
    done = vecmill.run("embed", corpus(300), "--model", tiny_model, "--to", table, "--detach", **broker)
    assert done.returncode == 0, done.stderr
    run = done.stdout.strip()
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    serve = vecmill.start("serve", **broker)

    def committed() -> bool:
        return bool(json.loads(vecmill.run("status", run, "--json", **broker).stdout)["state"] == "committed")

    wait_until(committed, or_ended=serve)
    assert_holds_each_once(table, 300)


def test_failed_rows_are_listed_and_their_neighbours_arrive(
    served: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    rows = [{"id": "good", "text": "alpha beta"}, {"id": "null", "text": None}, {"id": "number", "text": 5}]
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = served.run("embed", source, "--model", tiny_model, "--to", "table", "--json")
    assert done.returncode == 3, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["embedded"], result["failed"], result["chunks"]) == (1, 2, 1)
    failed = pq.read_table(tmp_path / "table" / "_errors" / result["run"]).to_pylist()
    assert {row["id"]: row["detail"] for row in failed}.keys() == {"null", "number"}
    assert all("corpus.jsonl line" in row["detail"] for row in failed)
    assert "_errors" in done.stderr


def test_query_verify_and_history_of_a_table(
    served: Processes, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    command = ["embed", corpus(300), "--model", tiny_model, "--to", table, "--keep-text", "--json"]
    outcome(served.run(*command))
    found = served.run("query", table, texts(300)[42], "-k", "3", "--json")
    hits = json.loads(found.stdout)
    assert hits[0]["id"] == "doc-42"
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-5)
    verified = served.run("verify", table, "--sample", "20")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "version 0" in served.run("history", table).stdout
