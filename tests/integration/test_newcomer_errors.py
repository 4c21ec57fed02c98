"""Every way in which a newcomer fails that we could think of, and the message word by word.

Most are in newcomer_errors.txt, which is meant to be read; what needs more than a command line is below. Each is a
real command line. A message says what is wrong, where, and after the arrow what to type or change.
"""

import errno
import json
import re
import shlex
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from producer import __main__ as command_line
from producer import hub
from producer.embedded.redis_server import RedisServer
from producer.source import open_source
from producer.table import check, commit, list_parts
from schemas import durable
from schemas.files import bucket
from schemas.ledger import RUNS_KEY
from schemas.run import SourceOptions
from tests.integration.conftest import Processes
from tests.unit.parts import a_record, write_run

pytestmark = pytest.mark.integration

#: What it did until then, and the warning of a password on the command line, which has a test of its own.
_BEFORE = ("reading ", "comparing ", "looking for texts ", "counting the tokens ", "warning: every user ")
Says = Callable[[str], tuple[int, str]]
ROOT = Path(__file__).parents[2]

CASES = {
    name: (typed, int(code), said)
    for name, typed, said, code in re.findall(
        r"^### ([^\n]+)\n\$ ([^\n]+)\n(.*?)\n\[(\d+)\]$",
        (Path(__file__).parent / "newcomer_errors.txt").read_text(),
        re.MULTILINE | re.DOTALL,
    )
}


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model: Path) -> Says:
    """Run a command line in this process, in a newcomer's folder; gives its exit code and what it said on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VECMILL_BROKER_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    _corpora(tmp_path)
    (tmp_path / "model").symlink_to(tiny_model)

    def run(typed: str) -> tuple[int, str]:
        words = shlex.split(typed.replace("+", "vecmill embed --model ./model --to out", 1))
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        lines = capsys.readouterr().err.replace(str(tmp_path), "HERE").splitlines()
        assert isinstance(ended.value.code, int)
        return ended.value.code, "\n".join(line for line in lines if not line.startswith(_BEFORE))

    return run


def _corpora(here: Path) -> None:
    """What a newcomer may have lying about."""
    lines = [json.dumps({"id": id_, "text": "alpha"}) for id_ in "ab"]
    texts = {
        "corpus.jsonl": "\n".join(lines),
        "twice.jsonl": "\n".join(lines * 2),
        "other.jsonl": json.dumps({"id": 1, "body": "alpha"}),
        "broken.jsonl": lines[0] + '\n{"id":"c", "text": ',
        "array.json": json.dumps([{"id": "a", "text": "alpha"}]),
        "empty.jsonl": "",
        "header.csv": "id,text\n",
        "sheet.csv": "Name;Body\nAda;1,5 alpha\n",
        "fake.parquet": "hello",
        "corpus.xlsx": "PK",
        "documents/a.docx": "PK",
        "documents/b.docx": "PK",
        "documents/c.pdf": "%PDF",
        "mixed/a.jsonl": lines[0],
        "mixed/b.docx": "PK",
    }
    for name, text in texts.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    (here / "utf16.csv").write_bytes("id,text\n1,alpha\n".encode("utf-16"))
    pq.write_table(pa.table({"id": ["a"], "text": [1.5]}), here / "numbers.parquet")


def test_the_cases_were_found() -> None:
    assert len(CASES) >= 45


@pytest.mark.parametrize("case", CASES)
def test_a_newcomer_is_told(case: str, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed, code, said = CASES[case]
    if "hub" in case:
        (tmp_path / "hub" / "models--BAAI--bge-small-en").mkdir(parents=True)
        monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    if "run id with a typo" in case:
        (tmp_path / "state" / "vecmill" / "runs").mkdir(parents=True)
        (tmp_path / "state" / "vecmill" / "runs" / "20261124-0300-a1b2c3.json").write_text("{}")
    if "another model" in case:
        record = a_record(tmp_path / "made", rows=3)
        write_run(record, ["one", "two", "three"])
        commit(record, list_parts(record.table, record.run))
    before = sorted(tmp_path.rglob("*"))
    got_code, got = says(typed)
    if "DIFFERENCES" in said:
        head, _, tail = said.strip().partition("DIFFERENCES\n")
        assert got.startswith(head)
        assert got.endswith(tail)
        assert "    dims: 8 in the table, 32 in the run\n" in got
    else:
        assert got == said.strip()
    assert got_code == code
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [path for path in before if path.is_file()]


def test_a_redis_with_a_password_an_old_one_and_one_that_forgets(
    says: Says, server: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server.url.rpartition("@")[2]

    def told(url: str) -> str:
        code, said = says(f"+ corpus.jsonl --broker {url}")
        assert code == 1
        return said.replace(place, "PLACE")

    assert told(f"redis://{place}") == (
        "error: Redis at redis://PLACE wants a password\n  -> export VECMILL_BROKER_URL=redis://:PASSWORD@HOST:PORT/0"
    )
    assert told(f"redis://:wrong@{place}").startswith(
        "error: Redis at redis://:***@PLACE does not accept the password\n  -> export VECMILL_BROKER_URL="
    )
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert told(server.url) == (
        "error: Redis at redis://:***@PLACE evicts keys when memory is short (maxmemory-policy allkeys-lru), "
        "which would lose jobs\n"
        "  -> redis-cli CONFIG SET maxmemory-policy noeviction"
    )
    info = redis.Redis.info
    monkeypatch.setattr(redis.Redis, "info", lambda self, *args: info(self, *args) | {"redis_version": "5.0.14"})
    assert told(server.url) == "error: Redis at redis://:***@PLACE is version 5.0.14\n  -> use Redis 6.2 or newer"


def test_a_run_that_a_broker_does_not_know(says: Says, server: RedisServer, client: redis.Redis) -> None:
    client.zadd(RUNS_KEY, {"nightly-7": 1})
    code, said = says(f"vecmill pause nightly7 --broker {server.url}")
    assert (code, said) == (2, "error: the broker knows no run 'nightly7'\n  -> did you mean nightly-7?")
    code, said = says(f"vecmill status nightly7 --broker {server.url}")
    assert (code, said.splitlines()[-1]) == (2, "  -> did you mean nightly-7?")


def test_a_folder_that_is_not_mine(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, and tests may be run by root.
    monkeypatch.setattr(check.os, "access", lambda *_: False)
    monkeypatch.setattr(check, "user_name", lambda: "ada")
    assert says("+ corpus.jsonl") == (
        2,
        "error: cannot write the table HERE/out: user ada may not write in HERE\n"
        "  -> choose another folder, or change its permissions",
    )


def test_a_disk_without_room(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    assert says("+ corpus.jsonl") == (
        1,
        "error: no room is left on a disk\n"
        "  -> make room (df -h; TMPDIR names where temporary files go), then: vecmill resume TABLE",
    )


@pytest.fixture
def refusing_store() -> Iterator[str]:
    """What speaks as S3 does, and knows nobody; gives its address."""

    class Refusal(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            body = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_PUT = do_HEAD = do_DELETE = refuse

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_bucket_without_credentials_or_with_wrong_ones(
    says: Says, refusing_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = refusing_store.removeprefix("http://")
    way_out = "  -> set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of producer and workers"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing_store)
    monkeypatch.setenv("AWS_REGION", "here")
    assert says("+ corpus.jsonl --to s3://corpora/docs") == (
        1,
        f"error: {place} is reached without encryption\n  -> https://, or AWS_ALLOW_HTTP=true if that is meant",
    )
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    # Where a machine of a cloud would ask for its role.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    bucket.s3_store.cache_clear()
    assert says("+ corpus.jsonl --to s3://corpora/docs") == (
        1, f"error: there are no credentials for corpora at {place}\n{way_out}"
    )  # fmt: skip
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    bucket.s3_store.cache_clear()
    assert says("+ corpus.jsonl --to s3://corpora/docs") == (
        1, f"error: {place} does not accept the credentials for corpora (InvalidAccessKeyId)\n{way_out}"
    )  # fmt: skip
    # Of a source only the producer reads, and only reads.
    assert says("+ s3://corpora/docs") == (
        1,
        f"error: {place} does not accept the credentials for s3://corpora (InvalidAccessKeyId)\n"
        "  -> set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
    )
    bucket.s3_store.cache_clear()


def test_a_device_that_this_machine_does_not_have(vecmill: Processes, tiny_model: Path, tmp_path: Path) -> None:
    """A real run: its first worker says why it cannot start, and none is started again."""
    _corpora(tmp_path)
    done = vecmill.run("embed", "corpus.jsonl", "--model", tiny_model, "--to", "out", "--device", "cuda:99",
                       "--workers", "1")  # fmt: skip
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: the workers on this machine cannot start: device cuda:99 cannot be used: ")
    assert done.stderr.splitlines()[-1] == "  -> --device cpu"
    assert "started again" not in done.stderr


def test_rows_that_cannot_be_embedded(tmp_path: Path) -> None:
    """No id, no text, a text that is no UTF-8: these words are then in `_errors`, and the summary names that folder."""
    lines = ["id,text", "a,alpha", ",beta", "c,", "d,delt\xe4"]
    (tmp_path / "latin.csv").write_bytes("\n".join(lines).encode("latin-1"))
    source = open_source(SourceOptions(paths=(str(tmp_path / "latin.csv"),)))
    told = [row for batch in source.batches() for row in batch.rows.column("problem").to_pylist()]
    assert told == [
        None,
        "latin.csv line 3: the id is empty",
        "latin.csv line 4: the text is null",
        "latin.csv line 5: the text is not valid UTF-8",
    ]


def test_a_python_that_is_too_old() -> None:
    """pip refuses it by itself, with what is needed; the oldest that CI knows is the one that is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
