"""The faults, each a small object: what strikes, for how long, and how it is mended. A world is all they know."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import redis

from schemas.ledger import WORKERS_KEY, RunKeys
from tests.chaos.watch import Holders
from tests.chaos.world import World


@dataclass(frozen=True)
class Fault:
    """Strikes, lasts `seconds` (0: it is over at once), and is mended."""

    seconds: float = 0.0

    def strike(self, world: World, holders: Holders) -> None:
        raise NotImplementedError

    def struck(self, world: World) -> bool:
        """Whether it did, asked before it is mended."""
        return True

    def mend(self, world: World) -> None:
        """Nothing, where nothing lasts."""


@dataclass(frozen=True)
class Worker(Fault):
    """A worker is killed, told to end, or stands still for a while."""

    number: int = signal.SIGKILL
    which: int = 0

    def strike(self, world: World, holders: Holders) -> None:
        pids = world.worker_pids()
        if not pids:
            return
        pid = pids[self.which % len(pids)]
        if self.number != signal.SIGTERM:
            kept = next((one for one in world.workers if one.pid == pid), None)
            kind = "hung" if self.number == signal.SIGSTOP else "crashed"
            if kept is not None:
                holders.strike(kind, f"chaos-{kept.name[-1]}:{kept.starts}")
        _send(pid, self.number)

    def mend(self, world: World) -> None:
        for pid in world.worker_pids():
            _send(pid, signal.SIGCONT)


@dataclass(frozen=True)
class Producer(Fault):
    """Who drives the run is killed, told to end, interrupted, or stands still for a while."""

    number: int = signal.SIGKILL
    which: int = 0

    def strike(self, world: World, holders: Holders) -> None:
        alive = [one for one in world.drivers if one.pid is not None]
        if alive:
            alive[self.which % len(alive)].signal(self.number)

    def mend(self, world: World) -> None:
        for one in world.drivers:
            one.signal(signal.SIGCONT)


@dataclass(frozen=True)
class SecondProducer(Fault):
    """Somebody types the command once more while it runs."""

    def strike(self, world: World, holders: Holders) -> None:
        def once(kept: object) -> list[str] | None:
            return None if kept.codes else world.arguments()

        world.drivers.append(world.keep(f"second-{world.task.run}-{len(world.drivers)}", once))


@dataclass(frozen=True)
class Redis(Fault):
    """The server is killed, told to end, or stands still; it comes back with what its append-only file holds."""

    number: int = signal.SIGKILL

    def strike(self, world: World, holders: Holders) -> None:
        pid = world.redis_pid()
        if pid is not None:
            _send(pid, self.number)

    def mend(self, world: World) -> None:
        pid = world.redis_pid()
        if self.number == signal.SIGSTOP and pid is not None:
            _send(pid, signal.SIGCONT)
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
            _send(pid, signal.SIGKILL)
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


@dataclass(frozen=True)
class Network(Fault):
    """Between Redis and all others: slow, silent, deaf to answers, or every connection cut once."""

    mood: str = "cut"

    def strike(self, world: World, holders: Holders) -> None:
        if self.mood == "cut":
            world.proxy.cut()
            return
        world.proxy.slow_seconds = 0.2
        world.proxy.mood = self.mood

    def mend(self, world: World) -> None:
        if self.mood == "deaf":
            world.proxy.cut()
        world.proxy.mood = "pass"


@dataclass(frozen=True)
class FullDisk(Fault):
    """The table's disk is full, or read-only, for a while."""

    read_only: bool = False

    def strike(self, world: World, holders: Holders) -> None:
        (world.disk.forbid if self.read_only else world.disk.fill)()

    def mend(self, world: World) -> None:
        world.disk.allow()


@dataclass(frozen=True)
class Clock(Fault):
    """A clock is set: that of all processes, or that of Redis, by so many seconds."""

    step: int = 3600
    of_redis: bool = False

    def strike(self, world: World, holders: Holders) -> None:
        if not self.of_redis:
            world.switch("clock", self.step)
            return
        # What a step means to Redis: all times that it noted are so much older, or younger, than its clock.
        keys = RunKeys(world.task.run)
        for key in (keys.sent, keys.leases):
            for job, score in world.client.zrange(key, 0, -1, withscores=True):
                world.client.zadd(key, {job: score - self.step}, xx=True)
        world.client.delete(WORKERS_KEY)
        if self.step > 0:
            world.client.delete(keys.producer)

    def mend(self, world: World) -> None:
        world.switch("clock")


@dataclass(frozen=True)
class Death(Fault):
    """The first worker or producer that comes to a moment is killed there; nobody is, where none comes to it."""

    moment: str = "claimed"

    def strike(self, world: World, holders: Holders) -> None:
        world.switch(f"die {self.moment}", "")

    def struck(self, world: World) -> bool:
        return not (world.folder / "switches" / f"die {self.moment}").exists()

    def mend(self, world: World) -> None:
        world.switch(f"die {self.moment}")


def revive(world: World) -> None:
    """Start a Redis of the cluster that has ended; an embedded run sees to its own."""
    deadline = time.monotonic() + 30
    while world.task.driver != "embedded" and not world.redis._answers():
        world.redis.keep_alive()
        assert time.monotonic() < deadline, "Redis does not come back"
        time.sleep(0.05)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
