"""Faults of what is around all processes: the network and the clocks."""

from dataclasses import dataclass

from schemas.ledger import WORKERS_KEY, RunKeys
from tests.chaos.faults.fault import Fault
from tests.chaos.watch import Holders
from tests.chaos.world import World


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
