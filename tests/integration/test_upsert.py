"""Runs on a table that has a version, through real processes: only what is new or changed is embedded."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from sentence_transformers import SentenceTransformer

import producer
from tests.integration.conftest import Processes, texts, wait_until
from tests.integration.test_runs import outcome

pytestmark = pytest.mark.integration

COUNTS = ("version", "rows", "embedded", "reused", "deleted", "duplicates", "chunks", "failed")


def write(path: Path, corpus: dict[str, str]) -> Path:
    pq.write_table(pa.table({"id": list(corpus), "text": list(corpus.values())}), path)
    return path


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[name] for name in COUNTS)


def assert_holds(table: Path, model: Path, corpus: dict[str, str]) -> None:
    """Every id once, with the oracle's vector for its text, to every reader."""
    ids, vectors = producer.read(str(table))
    assert sorted(ids) == sorted(corpus)
    oracle = SentenceTransformer(str(model), device="cpu").encode([corpus[id_] for id_ in ids])
    np.testing.assert_allclose(vectors, oracle, atol=1e-6)
    delta = DeltaTable(table)
    assert sorted(pl.scan_delta(str(table)).select("id").collect()["id"].to_list()) == sorted(corpus)
    assert sorted(delta.to_pyarrow_table(columns=["id"])["id"].to_pylist()) == sorted(corpus)
    query = "SELECT count(DISTINCT id), count(*) FROM read_parquet($1)"
    assert duckdb.execute(query, [delta.file_uris()]).fetchall() == [(len(corpus), len(corpus))]


def test_full_then_unchanged_then_changed_then_sync_then_another_order(
    served: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    table, source = tmp_path / "table", tmp_path / "corpus.parquet"
    corpus = {f"doc-{at}": text for at, text in enumerate(texts(700))}
    command = ["embed", source, "--model", tiny_model, "--to", table, "--dtype", "float32", "--json"]

    def run(*more: str) -> "tuple[tuple[int, ...], subprocess.CompletedProcess[str]]":
        write(source, corpus)
        done = served.run(*command, *more)
        return counts(outcome(done)), done

    assert run()[0] == (0, 700, 700, 0, 0, 0, 700, 0)
    files = set(table.rglob("*.parquet"))
    unchanged, done = run("--run-id", "nothing-new")
    assert unchanged == (0, 700, 0, 700, 0, 0, 700, 0)
    assert "nothing has changed since version 0" in done.stderr
    assert set(table.rglob("*.parquet")) == files
    assert "unchanged" in served.run("runs", table).stdout
    assert counts(outcome(served.run("resume", "nothing-new", "--json"))) == unchanged

    corpus.update({f"doc-{at}": f"vector {at}" for at in range(0, 700, 100)})
    assert run()[0] == (1, 700, 7, 693, 0, 0, 700, 0)
    assert_holds(table, tiny_model, corpus)

    kept = dict(corpus)
    for at in range(50):
        del corpus[f"doc-{at * 3}"]
    corpus["new"] = "beta gamma"
    assert run()[0] == (2, 651, 1, 650, 0, 0, 701, 0)
    assert_holds(table, tiny_model, kept | corpus)
    assert run("--mode", "sync")[0] == (3, 651, 0, 651, 50, 0, 651, 0)
    assert_holds(table, tiny_model, corpus)

    shuffled = list(corpus.items())
    random.Random(7).shuffle(shuffled)
    corpus = dict(shuffled)
    assert run("--mode", "sync")[0] == (3, 651, 0, 651, 0, 0, 651, 0)
    told = served.run("history", table).stdout
    assert "sync  0 embedded, 651 reused, 50 deleted" in told
    assert "upsert  7 embedded, 693 reused, 0 deleted" in told
    verified = served.run("verify", table, "--sample", "50")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_killed_producer_loses_nothing_and_the_old_version_stays(
    vecmill: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    table, source = tmp_path / "table", tmp_path / "corpus.parquet"
    corpus = {f"doc-{at}": text for at, text in enumerate(texts(300))}
    command = ["embed", source, "--model", tiny_model, "--to", table, "--dtype", "float32", "--workers", "1"]
    write(source, corpus)
    assert vecmill.run(*command).returncode == 0
    old = dict(corpus)
    many = {f"doc-{at}": text for at, text in enumerate(texts(12_000))}
    corpus = {id_: text for id_, text in many.items() if int(id_.removeprefix("doc-")) % 3 or id_ in old}
    corpus["doc-0"] = "vector table"
    del corpus["doc-9"]
    write(source, corpus)
    run = vecmill.start(*command, "--mode", "sync", "--run-id", "killed")
    wait_until(lambda: len(list((table / "killed").glob("part-*.parquet"))) >= 2, or_ended=run)
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    psutil.wait_procs(children, timeout=30)
    assert DeltaTable(table).version() == 0
    assert_holds(table, tiny_model, old)
    survivors = {path: path.stat().st_mtime_ns for path in (table / "killed").glob("part-*.parquet")}
    assert len(survivors) < 30, "killed too late to prove anything"
    resumed = outcome(vecmill.run("resume", "killed", "--json"))
    assert (resumed["version"], resumed["reused"], resumed["deleted"]) == (1, 298, 1)
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors, "what was done is not done again"
    ids, _ = producer.read(str(table))
    assert sorted(ids) == sorted(corpus)
    # As if it had died right after the commit: the run is known as done.
    assert outcome(vecmill.run("resume", "killed", "--json")) | {"seconds": 0} == resumed | {"seconds": 0}
    assert DeltaTable(table).version() == 1


def test_two_runs_on_one_table_at_once(served: Processes, tiny_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "table"
    options = ["--model", tiny_model, "--to", table, "--dtype", "float32", "--json"]
    first = write(tmp_path / "first.parquet", {"a": "alpha", "b": "beta"})
    assert served.run("embed", first, *options).returncode == 0
    sources = [write(tmp_path / f"{name}.parquet", {name: name, "b": "beta table"}) for name in ("list", "vector")]
    # Both begin from version 0: detached, they wait until they are carried out.
    runs = [served.run("embed", source, *options, "--detach").stdout.strip() for source in sources]
    versions = [outcome(served.run("resume", run, "--json"))["version"] for run in runs]
    assert versions == [1, 2]
    assert_holds(table, tiny_model, {"a": "alpha", "b": "beta table", "list": "list", "vector": "vector"})


def test_codes_of_later_runs_have_the_ranges_of_the_first(served: Processes, tiny_model: Path, tmp_path: Path) -> None:
    table, source = tmp_path / "table", tmp_path / "corpus.parquet"
    corpus = {f"doc-{at}": text for at, text in enumerate(texts(300))}
    command = ["embed", source, "--model", tiny_model, "--to", table, "--store", "int8", "--json"]
    write(source, corpus)
    outcome(served.run(*command))
    ids, codes = producer.read(str(table), codes=True)
    before = dict(zip(ids, codes, strict=True))
    write(source, {**corpus, "doc-0": "changed", "twin": corpus["doc-5"]})
    done = served.run(*command)
    assert counts(outcome(done))[:4] == (1, 301, 2, 299)
    assert "to find the ranges" not in done.stderr
    ids, codes = producer.read(str(table), codes=True)
    after = dict(zip(ids, codes, strict=True))
    assert all(np.array_equal(after[id_], before[id_]) for id_ in before if id_ != "doc-0")
    assert np.array_equal(after["twin"], before["doc-5"]), "its text had a vector"
    assert json.loads(served.run("status", table, "--json").stdout)["rows_done"] == 1
