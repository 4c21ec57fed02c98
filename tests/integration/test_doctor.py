"""`vecmill doctor`: what is well is said so, and what is not comes with what to type."""

import json
import shutil
from pathlib import Path

import pytest
import redis

from producer.doctor import disk, packages
from producer.doctor.check import Check, looked
from producer.doctor.disk import look_at_disks, look_at_table
from producer.doctor.packages import look_at_packages
from producer.doctor.redis import look_at_redis
from producer.embedded.redis_server import RedisServer
from schemas.ledger import WORKERS_KEY, Heartbeat
from tests.integration.conftest import Processes

pytestmark = pytest.mark.integration


def bad(checks):
    """What is not good, as (verdict, said, way_out)."""
    return [(one.verdict, one.said, one.way_out) for one in checks if one.verdict != "good"]


def of_redis(url):
    return list(looked("Redis", lambda: look_at_redis(url)))


def test_all_is_well_where_a_run_would_go_well(vecmill: Processes, tiny_model: Path, tmp_path: Path) -> None:
    done = vecmill.run("doctor", "--model", tiny_model, "--to", tmp_path / "out", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["subject"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == {"python", "packages", "worker", "Redis", "device", "model", "table", "TMPDIR", "notes"}
    assert all(one["verdict"] == "good" for one in found.values()), found
    assert "32 dimensions, reads up to 64 tokens" in found["model"]["said"]
    assert found["device"]["said"].startswith("cpu: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_the_settings_of_a_redis(server: RedisServer, client: redis.Redis) -> None:
    assert bad(of_redis(server.url)) == [
        (
            "warning",
            "none gives a sign of life; 0 jobs queued",
            "vecmill worker --broker URL, on each machine that is to encode",
        )
    ]
    now = float(client.time()[0])
    beat = Heartbeat(worker="w", device="cuda:0", in_flight=0, at=now)
    client.hset(WORKERS_KEY, "w", beat.model_dump_json())
    assert [one.said for one in of_redis(server.url)][-1] == "1 at work on cuda:0; 0 jobs queued"
    client.config_set("maxmemory", "0")
    client.config_set("appendonly", "no")
    client.set("vecmill:queue:malformed:count", "3")
    found = bad(of_redis(server.url))
    assert [way_out.split(",")[0] for _, _, way_out in found] == [
        "redis-cli CONFIG SET maxmemory 1gb",
        "redis-cli CONFIG SET appendonly yes",
        "redis-cli LRANGE vecmill:queue:malformed 0 9",
    ]
    assert {verdict for verdict, _, _ in found} == {"warning"}
    # What it advises, done: it is content.
    client.config_set("maxmemory", "1gb")
    client.config_set("appendonly", "yes")
    client.delete("vecmill:queue:malformed:count")
    assert bad(of_redis(server.url)) == []


def test_a_redis_that_stops_a_run(server: RedisServer, client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", "1")
    assert ("problem", "it is a replica and takes no writes", "name the primary in --broker") in bad(
        of_redis(server.url)
    )
    client.replicaof("NO", "ONE")
    client.config_set("maxmemory-policy", "allkeys-lru")
    (found,) = bad(of_redis(server.url))
    assert found[0] == "problem"
    assert found[2] == "redis-cli CONFIG SET maxmemory-policy noeviction"
    assert server.url not in str(found)
    (found,) = bad(of_redis("redis://:wrong@" + server.url.partition("@")[2]))
    assert "password" in found[1]
    (found,) = bad(of_redis("redis://127.0.0.1:1/0"))
    assert found[0] == "problem"


def test_one_look_that_fails_is_not_the_last() -> None:
    def look():
        yield Check(subject="x", verdict="good", said="well")
        raise OSError(5, "Input/output error", "/mnt/away")

    assert bad(looked("disk", look)) == [("problem", "[Errno 5] Input/output error: '/mnt/away'", "")]


def test_packages_that_are_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bad(look_at_packages()) == []
    asked = ["click>=8", "redis>=999", "vecmill-nowhere>=1", "torch-nowhere; extra == 'worker'"]
    monkeypatch.setattr(packages.metadata, "requires", lambda _: asked)
    found = bad(look_at_packages())
    assert [(verdict, said.split(":")[0].split(",")[0]) for verdict, said, _ in found] == [
        ("problem", "not installed"),
        ("problem", f"this is redis {redis.__version__}"),
        ("warning", "not installed"),
    ]
    assert found[2][2].startswith("pip install 'vecmill[worker]'")


def test_a_disk_that_is_full_or_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody may make a file there, root included.
    (problem,) = bad(list(look_at_table("/proc/table"))[:1])
    assert problem[0] == "problem"
    assert "nothing can be written in /proc" in problem[1]
    (tmp_path / "file").touch()
    (problem,) = bad(looked("table", lambda: look_at_table(str(tmp_path / "file" / "table"))))
    assert f"{tmp_path / 'file'} is a file" in problem[1]
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/state")
    assert [verdict for verdict, _, _ in bad(look_at_disks())] == ["warning"]
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: real._replace(free=10**9))
    (warning,) = bad(look_at_table(str(tmp_path / "table")))
    assert warning[:2] == ("warning", f"only 1.0 GB free in {tmp_path}")
