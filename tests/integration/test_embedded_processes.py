"""The private Redis: only ours, restartable with its data, and gone when its owner is, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from producer.embedded import workers
from producer.embedded.machine import Crew
from producer.embedded.redis_server import RedisServer
from tests.integration.conftest import wait_until

pytestmark = pytest.mark.integration

OWNER = """
import sys, time
from pathlib import Path
from producer.embedded.redis_server import RedisServer
server = RedisServer(Path(sys.argv[1]))
server.start()
print("ready", flush=True)
time.sleep(600)
"""

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def test_it_asks_for_its_password_and_listens_on_loopback_only(server: RedisServer) -> None:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).ping()
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    assert listening == {"127.0.0.1"}


def test_its_password_is_on_no_command_line_and_in_no_readable_file(server: RedisServer, tmp_path: Path) -> None:
    password = server.url.partition("//:")[2].partition("@")[0]
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or [])
    assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


def test_killed_it_comes_back_with_its_data(server: RedisServer, client: redis.Redis) -> None:
    client.set("key", "value")
    os.kill(int(client.info()["process_id"]), signal.SIGKILL)
    wait_until(server.keep_alive)
    assert client.get("key") == b"value"


def test_ended_on_purpose_it_leaves_its_data(server: RedisServer, tmp_path: Path) -> None:
    server.stop()
    assert (tmp_path / "redis" / "redis.conf").exists()


def test_it_ends_with_its_owner_and_leaves_nothing_even_when_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    owner.stdout.readline()
    children = psutil.Process(owner.pid).children(recursive=True)
    assert any("redis" in child.name() or "valkey" in child.name() for child in children)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert not psutil.wait_procs(children, timeout=15)[1]
    assert not folder.exists()


def test_a_guardian_that_is_killed_takes_its_command_with_it(server: RedisServer, client: redis.Redis) -> None:
    guarded = psutil.Process(int(client.info()["process_id"]))
    guardian = guarded.parent()
    assert guardian is not None
    assert "guardian.py" in " ".join(guardian.cmdline())
    guardian.kill()
    assert not psutil.wait_procs([guarded], timeout=60)[1]
    wait_until(server.keep_alive)
    assert client.ping()


def test_workers_that_are_idle_get_no_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_SECONDS", 600)
    monkeypatch.setattr(workers, "worker_command", lambda jobs: [sys.executable, "-c", STUBBORN])
    others = set(psutil.Process().children(recursive=True))
    pair = workers.LocalWorkers(Crew(2, 1), settings={}, folder=tmp_path)
    wait_until(lambda: all("ready" in (tmp_path / f"worker-{number}.log").read_text() for number in range(2)))
    children = set(psutil.Process().children(recursive=True)) - others
    assert len(children) >= 4, "two guardians and two workers"
    pair.stop(idle=True)
    assert not psutil.wait_procs(children, timeout=15)[1]
