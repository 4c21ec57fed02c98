"""Tables in an object store: the same runs, kills and commands as on a disk, through real processes and a local S3."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

import producer
from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from producer.result import Result
from schemas.files import names_in, read_bytes
from tests.integration.conftest import Processes, texts, wait_until
from tests.integration.s3_server import SECRET, S3Server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shop(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis and one worker that may write below `s3://BUCKET/tables`; the Redis's address."""
    folder = tmp_path_factory.mktemp("shop")
    server = RedisServer(folder)
    server.start()
    processes = Processes(folder)
    processes.start(
        "worker", "--allow-root", f"s3://{s3.bucket}/tables", "--broker", server.url, "--device", "cpu"
    )  # fmt: skip
    yield server.url
    processes.stop()
    server.stop()


def held(table: str) -> Counter[str]:
    ids, vectors = producer.read(table)
    assert np.isfinite(vectors).all()
    return Counter(ids)


def corpus_of(path: Path, rows: dict[str, str | None]) -> Path:
    pq.write_table(pa.table({"id": list(rows), "text": pa.array(rows.values(), pa.string())}), path)
    return path


def test_a_table_lives_in_a_bucket_as_on_a_disk(
    s3: S3Server, shop: str, vecmill: Processes, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", vecmill.env["XDG_STATE_HOME"])
    table, source = f"s3://{s3.bucket}/tables/life", tmp_path / "corpus.parquet"
    said = texts(600)
    rows: dict[str, str | None] = {f"doc-{at}": text for at, text in enumerate(said)}

    def embed(**options: str | bool) -> Result:
        corpus_of(source, rows)
        return producer.embed(source, model=tiny_model, to=table, broker=shop, keep_text=True, **options)

    first = embed()
    assert (first.version, first.embedded, first.failed) == (0, 600, 0)
    assert held(table) == Counter(rows.keys())
    rows |= {"doc-3": "another text", "new": "alpha", "bad": None}
    second = embed()
    assert (second.version, second.embedded, second.reused, second.failed) == (1, 2, 599, 1)
    assert held(table) == Counter({*rows} - {"bad"})
    assert names_in(f"{table}/_errors") == [second.run]
    del rows["bad"], rows["doc-5"]
    third = embed(mode="sync")
    assert (third.version, third.embedded, third.deleted) == (2, 0, 1)
    fourth = embed(mode="replace")
    assert (fourth.version, fourth.embedded) == (3, 600)
    assert held(table) == Counter(rows.keys())
    commands(vecmill, table, second.run, said[42])
    versions = {path.rpartition("/")[2] for path in (one.path for one in s3.made("/life/_delta_log/"))}
    assert versions >= {f"{at:020d}.json" for at in range(7)}
    assert {one.if_none_match for one in s3.made("/life/_delta_log/") if one.path.endswith(".json")} == {"*"}


def commands(vecmill: Processes, table: str, run: str, text: str) -> None:
    """Everything that is said of a table, and done to one, without a run."""
    found = vecmill.run("query", table, text, "-k", "1", "--json")
    assert [hit["id"] for hit in json.loads(found.stdout)] == ["doc-42"], found.stderr
    verified = vecmill.run("verify", table, "--sample", "20")
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    assert "version 3" in vecmill.run("history", table).stdout
    assert vecmill.run("runs", table).stdout.count("version") == 4
    assert json.loads(vecmill.run("status", table, "--json").stdout)["state"] == "committed"
    before = producer.read(table)
    done = vecmill.run("compact", table)
    assert "became 1 in version 4" in done.stdout, done.stdout + done.stderr
    after = producer.read(table)
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert "version 5" in vecmill.run("restore", table, "1").stdout
    assert held(table)["doc-5"] == 1
    gone = vecmill.run("vacuum", table, "--keep-days", "0")
    assert gone.returncode == 0, gone.stderr
    assert held(table)["doc-5"] == 1
    refused = vecmill.run("restore", table, "3")
    assert (refused.returncode, "are gone" in refused.stderr) == (2, True), refused.stderr
    assert f"version 1  {table}" in vecmill.run("status", run).stdout


def test_codes_and_their_ranges(s3: S3Server, shop: str, tiny_model: Path, corpus: Callable[[int], Path]) -> None:
    table = f"s3://{s3.bucket}/tables/codes"
    done = producer.embed(corpus(300), model=tiny_model, to=table, broker=shop, store="int8")
    assert done.embedded == 300
    assert producer.read(table, codes=True)[1].dtype == np.int8
    assert sorted(names_in(table)) == sorted(["_delta_log", "_runs", done.run]), "the sample leaves nothing"


def test_worker_and_producer_are_killed_and_every_row_arrives_once(
    s3: S3Server,
    server: RedisServer,
    vecmill: Processes,
    corpus: Callable[[int], Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    rows, table = 20_000, f"s3://{s3.bucket}/killed"
    broker = {"VECMILL_BROKER_URL": server.url}
    allowed = ["worker", "--allow-root", f"s3://{s3.bucket}"]
    worker = vecmill.start(*allowed, **broker)
    command = ["embed", corpus(rows), "--model", tiny_model, "--to", table, "--run-id", "killed"]
    run = vecmill.start(*command, **broker)
    ledger = Ledger(redis.Redis.from_url(server.url), "killed")

    def in_the_middle() -> bool:
        progress = ledger.progress()
        return progress is not None and progress.done >= 3 and progress.leased > 0

    wait_until(in_the_middle, or_ended=run)
    os.killpg(worker.pid, signal.SIGKILL)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    progress = ledger.progress()
    assert progress is not None
    assert not progress.ended, "killed too late to prove anything"
    assert names_in(f"{table}/_delta_log") == []
    redis.Redis.from_url(server.url).flushall()
    vecmill.start(*allowed, **broker)
    done = vecmill.run("resume", table, "--json", **broker)
    assert done.returncode == 0, done.stderr
    assert held(table) == Counter(f"doc-{at}" for at in range(rows))
    made = Counter(one.path for one in s3.made("/killed/killed/part-"))
    assert set(made.values()) == {1}, "a part is put once, whoever tries"
    assert all(one.if_none_match == "*" for one in s3.made("/killed/killed/part-"))
    again = vecmill.run("resume", "killed", **broker)
    assert "committed already" in again.stderr, again.stderr
    assert_no_secret(server.url, s3, table, tmp_path, done.stdout + done.stderr + again.stderr)


def assert_no_secret(url: str, s3: S3Server, table: str, logs: Path, printed: str) -> None:
    """Neither in what was printed or logged, nor in Redis, nor in what a reader of the bucket sees."""
    client = redis.Redis.from_url(url)
    kept = [client.dump(key) or b"" for key in client.scan_iter()]
    records = [read_bytes(f"{table}/_runs/{name}") or b"" for name in names_in(f"{table}/_runs")]
    commits = [read_bytes(f"{table}/_delta_log/{name}") or b"" for name in names_in(f"{table}/_delta_log")]
    said = [path.read_bytes() for path in logs.glob("*.log")]
    assert kept
    assert records
    assert commits
    assert said
    assert not any(SECRET.encode() in text for text in (*kept, *records, *commits, *said, printed.encode()))
