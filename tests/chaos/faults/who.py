"""Faults of processes of ours: workers and who drives the run."""

import signal
from dataclasses import dataclass

from tests.chaos.faults.fault import Fault, send
from tests.chaos.watch import Holders
from tests.chaos.world import World


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
        send(pid, self.number)

    def mend(self, world: World) -> None:
        for pid in world.worker_pids():
            send(pid, signal.SIGCONT)


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
            return None if kept.codes else world.driving.arguments()

        world.drivers.append(world.keep(f"second-{world.task.run}-{len(world.drivers)}", once))


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
