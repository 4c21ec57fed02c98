"""`vecmill status --watch` as a person has it: on a terminal, through a Redis that goes away, until Ctrl-C."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from schemas.job import Job
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_ledger import RUN, receipt, record
from worker.ledger import Ledger as WorkerLedger

pytestmark = pytest.mark.integration


class Terminal:
    """A command on a terminal of its own, and what it has written there."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "producer", *arguments]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env | {"TERM": "xterm"}, start_new_session=True
        )
        os.close(theirs)
        self._ours = ours
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def has(self, words: str) -> bool:
        return words in self.text

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._written.decode(errors="replace"))

    def ends(self) -> int:
        code = self.process.wait(timeout=150)
        self._reader.join(timeout=150)
        os.close(self._ours)
        return code

    def end(self) -> None:
        """Whatever a test left of it."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        # The end of the other side is an error on Linux.
        try:
            while found := os.read(self._ours, 65536):
                self._written += found
        except OSError:
            return


@pytest.fixture
def on_a_terminal(vecmill: Processes) -> Iterator[Callable[..., Terminal]]:
    """Starts `vecmill ARGUMENTS` on a terminal, and ends it."""
    with ExitStack() as started:

        def start(*arguments: str) -> Terminal:
            terminal = Terminal(vecmill.env, *arguments)
            started.callback(terminal.end)
            return terminal

        yield start


@pytest.fixture
def ledger(client: redis.Redis) -> Ledger:
    """A run of three jobs, one of them done."""
    ledger, worker = Ledger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    for job in range(3):
        assert ledger.enqueue(job, b"rows")
    worker.claim(Job(run=RUN, job=0))
    worker.finish(Job(run=RUN, job=0), receipt(0))
    return ledger


def test_it_shows_everything_and_outlives_redis_until_ctrl_c(
    on_a_terminal: Callable[..., Terminal], server: RedisServer, ledger: Ledger
) -> None:
    terminal = on_a_terminal("status", "--watch", "--broker", server.url)
    wait_until(lambda: terminal.has("44%"))
    assert server.url.split("@")[1] in terminal.text
    assert server.url not in terminal.text
    server.stop()
    wait_until(lambda: terminal.has("Redis has not answered for"))
    server.start()
    ledger.set_state("paused")
    wait_until(lambda: "paused" in terminal.text.rpartition("not answered")[2])
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.ends() == 0
    assert "Traceback" not in terminal.text
    assert "interrupted" not in terminal.text


def test_one_run_is_watched_until_it_ends(
    on_a_terminal: Callable[..., Terminal], server: RedisServer, ledger: Ledger
) -> None:
    terminal = on_a_terminal("status", RUN, "--watch", "--broker", server.url)
    wait_until(lambda: terminal.has("running"))
    ledger.set_state("failed", "because of [this]")
    assert terminal.ends() == 0
    assert terminal.has("because of [this]")


def test_where_there_is_no_terminal_there_are_plain_lines(
    vecmill: Processes, server: RedisServer, ledger: Ledger
) -> None:
    watching = vecmill.start("status", "--watch", "--broker", server.url)
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert first.startswith(f"{RUN}  running  4/9 rows (44%)")
    ledger.set_state("paused")
    assert any(line.startswith(f"{RUN}  paused") for line in iter(watching.stdout.readline, ""))
    server.stop()
    os.killpg(watching.pid, signal.SIGINT)
    assert watching.wait(timeout=150) == 0
    assert "Traceback" not in Path(watching.log).read_text()
