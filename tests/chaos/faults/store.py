"""Faults of the place where the table lies: a disk that takes nothing, a bucket that is away."""

import signal
from dataclasses import dataclass

from tests.chaos.faults.fault import Fault
from tests.chaos.place import InBucket, OnDisk
from tests.chaos.watch import Holders
from tests.chaos.world import World


@dataclass(frozen=True)
class FullDisk(Fault):
    """The table's disk is full, or read-only, for a while."""

    read_only: bool = False

    def strike(self, world: World, holders: Holders) -> None:
        assert isinstance(world.place, OnDisk)
        disk = world.place.disk
        (disk.forbid if self.read_only else disk.fill)()

    def mend(self, world: World) -> None:
        assert isinstance(world.place, OnDisk)
        world.place.disk.allow()


@dataclass(frozen=True)
class Store(Fault):
    """The table's store is killed, stands still, fails, or carries out puts and says that it has not."""

    kind: str = "dead"

    def strike(self, world: World, holders: Holders) -> None:
        assert isinstance(world.place, InBucket)
        store = world.place.store
        if self.kind == "dead":
            store.stop()
        elif self.kind == "still":
            store.signal(signal.SIGSTOP)
        elif self.kind == "failing":
            store.fault("503 Slow Down", code="SlowDown")
        else:
            store.fault("500 Internal Server Error", code="InternalError", method="PUT", after=True)

    def mend(self, world: World) -> None:
        assert isinstance(world.place, InBucket)
        world.place.store.fault()
        if self.kind == "dead":
            world.place.store.start()
        elif self.kind == "still":
            world.place.store.signal(signal.SIGCONT)
