"""The Redis of a cluster, or what stands in for one on this machine. Changes no setting."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from rich.filesize import decimal

from producer.broker import connect, without_password
from producer.doctor.check import Check
from producer.embedded.redis_server import find_server
from producer.ledger import living_workers, malformed
from schemas.transport import QUEUE

_LOOPBACK = ("127.", "::1", "localhost")
#: A server this full has little left for the next run.
_FULL = 0.8


def look_at_redis(url: str | None) -> Iterator[Check]:
    """Reached, new enough and evicting nothing; then what it would lose, how full it is, and who works for it."""
    if url is None:
        yield Check(subject="Redis", verdict="good", said=f"no broker named: a run starts its own, {find_server()}")
        return
    client = connect(url)
    raw: Any = client
    info: dict[str, Any] = raw.info()
    where = without_password(url)
    yield Check(subject="Redis", verdict="good", said=f"{where} answers: version {info['redis_version']}, noeviction")
    for check in (_role, _memory, _persistence):
        yield from check(info)
    yield from _password(url)
    yield from _work(client)
    client.close()


def _role(info: dict[str, Any]) -> Iterator[Check]:
    if info.get("role") != "master":
        yield _problem("it is a replica and takes no writes", "name the primary in --broker")


def _memory(info: dict[str, Any]) -> Iterator[Check]:
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most:
        yield _warning(
            f"{decimal(used)} used, and no maxmemory: where it grows, the machine's memory ends first",
            "redis-cli CONFIG SET maxmemory 1gb, and the same in redis.conf",
        )
    elif used > _FULL * most:
        yield _warning(
            f"{decimal(used)} of {decimal(most)} used: runs will wait for room",
            "redis-cli CONFIG SET maxmemory, higher; vecmill status shows what is in it",
        )
    else:
        yield Check(subject="Redis", verdict="good", said=f"{decimal(used)} of {decimal(most)} used")


def _persistence(info: dict[str, Any]) -> Iterator[Check]:
    failing = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(name, "ok") != "ok"]
    if failing:
        yield _problem(f"it cannot write to its disk ({', '.join(failing)})", "look at its log, and at its disk's room")
    elif not int(info.get("aof_enabled", 0)):
        yield _warning(
            "no append-only file: a restart loses schedules, and jobs that are encoded again",
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        )
    else:
        yield Check(subject="Redis", verdict="good", said="append-only file on")


def _password(url: str) -> Iterator[Check]:
    parts = urlsplit(url)
    if parts.password is None and not (parts.hostname or "localhost").startswith(_LOOPBACK):
        yield _warning(
            f"{parts.hostname} answers without a password: whoever reaches it reads the texts of jobs in flight",
            "requirepass in redis.conf, then redis://:PASSWORD@HOST:PORT/0",
        )


def _work(client: Any) -> Iterator[Check]:
    workers, waiting = living_workers(client), int(client.llen(QUEUE))
    aside = malformed(client)
    if workers:
        devices = ", ".join(sorted({beat.device for beat in workers}))
        yield Check(
            subject="workers", verdict="good", said=f"{len(workers)} at work on {devices}; {waiting} jobs queued"
        )
    else:
        yield Check(
            subject="workers", verdict="warning", said=f"none gives a sign of life; {waiting} jobs queued",
            way_out="vecmill worker --broker URL, on each machine that is to encode",
        )  # fmt: skip
    if aside:
        yield _warning(
            f"{aside} elements of its queue were no messages and were put aside: somebody else writes there",
            f"redis-cli LRANGE {QUEUE}:malformed 0 9",
        )


def _warning(said: str, way_out: str) -> Check:
    return Check(subject="Redis", verdict="warning", said=said, way_out=way_out)


def _problem(said: str, way_out: str) -> Check:
    return Check(subject="Redis", verdict="problem", said=said, way_out=way_out)
