"""A run whose producer and workers have Redis users of the fewest rights, and whose texts and passwords are looked for.

One run, with all logs at their most talkative, is carried out by `serve`; then each test looks at what it left.
"""

import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import pyarrow.parquet as pq
import pytest
import redis
from redis.exceptions import NoPermissionError

from producer.embedded.redis_server import RedisServer
from schemas.transport import QUEUE
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_worker import CELERY

pytestmark = pytest.mark.integration

ACL = Path(__file__).parents[2] / "docs" / "redis.acl"
#: Letters that nothing else has, in no other case and with nothing that an address would escape.
TEXT, SECRET = "gamma quokkatext sort", "quokkapassword"
MARKS = re.compile(rb"quokka", re.IGNORECASE)
#: More than are looked at to find the type of a kept column.
ROWS = 1200
LOUD = "import logging, sys; logging.basicConfig(level=logging.DEBUG); sys.argv[0] = 'vecmill'; "
LOUD += "from producer.__main__ import main; main()"


def denied(admin: redis.Redis) -> list[tuple[str, str, str]]:
    """Who wanted what that its rights do not cover."""
    return [(one["username"], one["object"], one["client-info"]["cmd"]) for one in admin.acl_log()]


class Guarded(NamedTuple):
    """A run that has ended, and what could be seen of it."""

    folder: Path
    run: str
    server: RedisServer
    admin: redis.Redis
    said: dict[str, str]
    commands: list[bytes]
    arguments: set[str]
    urls: dict[str, str]


class Watch(threading.Thread):
    """Keeps what Redis is told, and the command line of every process that is to be seen meanwhile."""

    def __init__(self, url: str, ours: str) -> None:
        super().__init__(daemon=True)
        self.commands: list[bytes] = []
        self.arguments: set[str] = set()
        self._ours = ours
        self._monitor = redis.Redis.from_url(url).monitor()
        self._over = threading.Event()

    def run(self) -> None:
        with self._monitor as monitor:
            while not self._over.is_set():
                if monitor.connection.can_read(timeout=0.2):
                    self.commands.append(monitor.connection.read_response())
                else:
                    self._look()

    def _look(self) -> None:
        for process in psutil.process_iter(["cmdline", "environ"]):
            if self._ours in (process.info["environ"] or {}).get("XDG_STATE_HOME", ""):
                self.arguments.add("\0".join(process.info["cmdline"] or []))

    def end(self) -> None:
        self._look()
        self._over.set()
        self.join()


def with_acl(folder: Path) -> RedisServer:
    """A Redis that has its users from docs/redis.acl, and one of the test's own."""
    folder.mkdir()
    server = RedisServer(folder)
    users = ACL.read_text().replace("PRODUCER_PASSWORD", f"{SECRET}P").replace("WORKER_PASSWORD", f"{SECRET}W")
    password = urlsplit(server.url).password
    (folder / "users.acl").write_text(f"user default on >{password} ~* &* +@all\n{users}")
    config = (folder / "redis.conf").read_text().replace(f"requirepass {password}\n", "")
    (folder / "redis.conf").write_text(f"{config}aclfile {folder}/users.acl\n")
    server.start()
    return server


def corpus(path: Path) -> Path:
    """Good rows, and each kind of bad one, all of them with the text that is looked for."""
    rows: list[Any] = [{"id": f"d{at}", "text": f"{TEXT} {at}", "n": at} for at in range(ROWS)]
    rows += [{"id": "null", "text": None, "n": 1}, {"id": "kept", "text": TEXT, "n": TEXT}]
    rows += [{"id": "list", "text": [TEXT], "n": 1}]
    lines = [json.dumps(row).encode() for row in rows]
    lines += [b'{"id": "utf", "n": 1, "text": "' + TEXT.encode() + b'\xff"}']
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    server = with_acl(folder / "redis")
    vecmill = Processes(folder)
    place = server.url.rpartition("@")[2]
    urls = {who: f"redis://vecmill-{who}:{SECRET}{who[0].upper()}@{place}" for who in ("producer", "worker")}
    broker = {"VECMILL_BROKER_URL": urls["producer"]}
    admin = redis.Redis.from_url(server.url)
    watch = Watch(server.url, str(folder))
    watch.start()
    try:
        loud = [sys.executable, "-c", LOUD]
        source = corpus(folder / "corpus.jsonl")
        told = {"VECMILL_BROKER_URL": urls["worker"], "VECMILL_ALLOW_ROOTS": str(folder), "VECMILL_DEVICE": "cpu"}
        worker = vecmill.start_command(
            [
                *CELERY,
                "worker",
                "--pool",
                "threads",
                "--without-gossip",
                "--without-mingle",
                "-E",
                "--loglevel",
                "DEBUG",
            ],
            **told,
        )
        serve = vecmill.start_command([*loud, "serve"], **broker)
        embed = vecmill.start_command(
            [*loud, "embed", str(source), "--model", str(tiny_model), "--to", str(folder / "table"), "--keep", "n",
             "--store", "int8", "--run-id", "guarded", "--detach"], **broker,
        )  # fmt: skip
        assert embed.wait(timeout=150) == 0, embed.log.read_text()
        said = {}

        def ended() -> bool:
            return admin.hget("vecmill:run:guarded", "state") in (b"committed", b"failed")

        wait_until(lambda: ended() or bool(denied(admin)), or_ended=serve, seconds=300)
        assert denied(admin) == []
        for words in (
            ("status", "guarded", "--json"),
            ("status", "guarded"),
            ("schedule", "list"),
            ("runs", str(folder / "table")),
        ):
            said[" ".join(words)] = vecmill.run(*words, **broker).stdout
        watch.end()
        logs = {path.name: path.read_text() for path in folder.glob("process-*.log")}
        assert "Received task" in logs[worker.log.name] or "DEBUG" in logs[worker.log.name]
        yield Guarded(folder, "guarded", server, admin, said | logs, watch.commands, watch.arguments, urls)
    finally:
        vecmill.stop()
        server.stop()


def test_the_run_is_committed_and_nothing_was_denied(guarded: Guarded) -> None:
    assert denied(guarded.admin) == []
    status = json.loads(guarded.said["status guarded --json"])
    assert (status["state"], status["rows_done"], status["failed"]) == ("committed", ROWS + 4, 4), status


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (who, words)
        for who in ("producer", "worker")
        for words in ("FLUSHALL", "CONFIG GET *", "KEYS *", "SCAN 0", "SET other x", "EVAL return(1) 0", "ACL LIST")
    ]
    + [("worker", "HSET vecmill:schedules x y"), ("worker", "ZADD vecmill:runs 1 x"), ("worker", "LPUSH other x")]
    + [("producer", "BRPOP vecmill:queue 1"), ("producer", "PUBLISH x y")],
)  # fmt: skip
def test_a_command_beyond_the_rights_is_refused(guarded: Guarded, who: str, words: str) -> None:
    client = redis.Redis.from_url(guarded.urls[who])
    with pytest.raises(NoPermissionError):
        client.execute_command(*words.split())


def test_nothing_that_was_said_has_a_text_or_a_password(guarded: Guarded) -> None:
    for name, said in guarded.said.items():
        assert not MARKS.search(said.encode()), (name, [line for line in said.splitlines() if "quokka" in line][:3])
    assert any("vecmill" in arguments for arguments in guarded.arguments)
    assert not any("quokka" in arguments for arguments in guarded.arguments)


def test_nothing_that_redis_shows_has_a_text_or_a_password(guarded: Guarded) -> None:
    kinds = {str(one.split(b'"')[1:2]) for one in guarded.commands}
    assert len(guarded.commands) > 100, kinds
    assert any(QUEUE.encode() in one and b"lpush" in one.lower() for one in guarded.commands)
    assert any(b"publish" in one.lower() or b"celeryev" in one for one in guarded.commands)
    for one in guarded.commands:
        assert b":payload:" in one or not MARKS.search(one), one[:300]
    for key in guarded.admin.scan_iter():
        assert not MARKS.search(guarded.admin.dump(key) or b""), key


def test_nothing_in_the_table_has_a_text_or_a_password(guarded: Guarded) -> None:
    files = [path for path in (guarded.folder / "table").rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert not MARKS.search(path.read_bytes()), path
        if path.suffix == ".parquet":
            rows = pq.read_table(path).drop_columns(["embedding"] if "_errors" not in path.parts else [])
            assert not MARKS.search(json.dumps(rows.to_pylist(), default=repr).encode()), path
