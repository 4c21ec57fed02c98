"""Faults of Redis: it is killed, stands still, forgets, or is set up otherwise."""

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import redis

from tests.chaos.faults.fault import Fault, send
from tests.chaos.watch import Holders
from tests.chaos.world import World


@dataclass(frozen=True)
class Redis(Fault):
    """The server is killed, told to end, or stands still; it comes back with what its append-only file holds."""

    number: int = signal.SIGKILL

    def strike(self, world: World, holders: Holders) -> None:
        pid = world.redis_pid()
        if pid is not None:
            send(pid, self.number)

    def mend(self, world: World) -> None:
        pid = world.redis_pid()
        if self.number == signal.SIGSTOP and pid is not None:
            send(pid, signal.SIGCONT)
        revive(world)


@dataclass(frozen=True)
class Wipe(Fault):
    """All that the server holds is gone, while it goes on."""

    def strike(self, world: World, holders: Holders) -> None:
        world.client.flushall()


@dataclass(frozen=True)
class OldRedis(Fault):
    """The server dies, and comes back with what its append-only file held some seconds before."""

    def strike(self, world: World, holders: Holders) -> None:
        shutil.copytree(world.folder / "redis" / "appendonlydir", world.folder / "old-redis")

    def mend(self, world: World) -> None:
        pid = world.redis_pid()
        if pid is not None:
            send(pid, signal.SIGKILL)
        folder = world.folder / "redis" / "appendonlydir"
        shutil.rmtree(folder)
        (world.folder / "old-redis").rename(folder)
        revive(world)


@dataclass(frozen=True)
class Setting(Fault):
    """The server is full, or a replica of nobody, or evicts for a while."""

    name: str = "full"

    _BROKEN: ClassVar[dict[str, Callable[[redis.Redis], object]]] = {
        "full": lambda client: client.config_set("maxmemory", 1),
        "replica": lambda client: client.slaveof("127.0.0.1", 1),
        "evicting": lambda client: client.config_set("maxmemory-policy", "allkeys-lru"),
    }
    _RIGHT: ClassVar[dict[str, Callable[[redis.Redis], object]]] = {
        "full": lambda client: client.config_set("maxmemory", 1 << 30),
        "replica": lambda client: client.slaveof(),
        "evicting": lambda client: client.config_set("maxmemory-policy", "noeviction"),
    }

    def strike(self, world: World, holders: Holders) -> None:
        self._BROKEN[self.name](world.client)

    def mend(self, world: World) -> None:
        self._RIGHT[self.name](world.client)


def revive(world: World) -> None:
    """Start a Redis of the cluster that has ended; an embedded run sees to its own."""
    deadline = time.monotonic() + 30
    while world.task.driver != "embedded" and not world.redis._answers():
        world.redis.keep_alive()
        assert time.monotonic() < deadline, "Redis does not come back"
        time.sleep(0.05)
