"""From a seed to what strikes when: the same seed gives the same schedule. Knows no process."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGINT, SIGKILL, SIGSTOP, SIGTERM

from tests.chaos.faults import (
    Clock,
    Death,
    Fault,
    FullDisk,
    Network,
    OldRedis,
    Producer,
    Redis,
    SecondProducer,
    Setting,
    Store,
    Wipe,
    Worker,
)
from tests.chaos.world import Driver

Make = Callable[[random.Random], Fault]


@dataclass(frozen=True)
class Step:
    """A fault after so many seconds, and what strikes while it lasts."""

    after: float
    fault: Fault
    meanwhile: Fault | None = None


#: Every so many seeds are played with a table in a bucket.
_BUCKET_EVERY = 4


@dataclass(frozen=True)
class Schedule:
    """What becomes of one run: who drives it, what strikes while it works, and what strikes at its very end."""

    driver: Driver
    steps: tuple[Step, ...]
    last: Step

    @property
    def events(self) -> int:
        """How many faults strike."""
        return sum(1 + (step.meanwhile is not None) for step in (*self.steps, self.last))


#: Over at once: they may also strike while another fault lasts.
_SUDDEN: dict[str, Make] = {
    "kill a worker": lambda rng: Worker(number=SIGKILL, which=rng.randrange(2)),
    "end a worker": lambda rng: Worker(number=SIGTERM, which=rng.randrange(2)),
    "kill a producer": lambda rng: Producer(number=SIGKILL, which=rng.randrange(3)),
    "end a producer": lambda rng: Producer(number=rng.choice([SIGTERM, SIGINT]), which=rng.randrange(3)),
}
#: In fake/moments.py; the last ones come to those that the end of a run alone has.
_MOMENTS = ["claimed", "part written", "part named", "part durable", "finished", "to enqueue", "enqueued", "published"]
_LAST_MOMENTS = ["to open", "opened", "adopted", "to commit", "committed"]
#: For a Redis of the run's own, too.
_ANYWHERE: dict[str, Make] = {
    **_SUDDEN,
    "die at a moment": lambda rng: Death(_some(rng, 2, 4), moment=rng.choice(_MOMENTS)),
    "hang a worker": lambda rng: Worker(_some(rng, 2, 24), number=SIGSTOP, which=rng.randrange(2)),
    "hang a producer": lambda rng: Producer(_some(rng, 2, 18), number=SIGSTOP, which=rng.randrange(3)),
    "kill Redis": lambda rng: Redis(_some(rng, 0, 3), number=SIGKILL),
    "end Redis": lambda rng: Redis(_some(rng, 0, 3), number=SIGTERM),
    "pause Redis": lambda rng: Redis(_some(rng, 2, 14), number=SIGSTOP),
    "fill the disk": lambda rng: FullDisk(_some(rng, 2, 10)),
    "forbid the disk": lambda rng: FullDisk(_some(rng, 2, 10), read_only=True),
    "set clocks": lambda rng: Clock(_some(rng, 2, 6), step=rng.choice([-3600, -30, 30, 3600])),
}
_CLUSTER: dict[str, Make] = {
    **_ANYWHERE,
    "wipe Redis": lambda rng: Wipe(),
    "an old Redis": lambda rng: OldRedis(_some(rng, 2, 8)),
    "a full Redis": lambda rng: Setting(_some(rng, 2, 8), name="full"),
    "a replica": lambda rng: Setting(_some(rng, 2, 8), name="replica"),
    "an evicting Redis": lambda rng: Setting(_some(rng, 2, 8), name="evicting"),
    "set the clock of Redis": lambda rng: Clock(step=rng.choice([-3600, -30, 30, 3600]), of_redis=True),
    "cut": lambda rng: Network(mood="cut"),
    "a slow network": lambda rng: Network(_some(rng, 2, 6), mood="slow"),
    "a silent network": lambda rng: Network(_some(rng, 2, 14), mood="silent"),
    "a deaf network": lambda rng: Network(_some(rng, 0.3, 3), mood="deaf"),
}


_ON_DISK = ["fill the disk", "forbid the disk"]
_IN_BUCKET: dict[str, Make] = {
    "kill the store": lambda rng: Store(_some(rng, 1, 10), kind="dead"),
    "pause the store": lambda rng: Store(_some(rng, 2, 14), kind="still"),
    "a failing store": lambda rng: Store(_some(rng, 2, 10), kind="failing"),
    "a store that hides what it did": lambda rng: Store(_some(rng, 2, 6), kind="hiding"),
}


def in_bucket(seed: int) -> bool:
    """Whether the table of this seed lies in a bucket."""
    return seed % _BUCKET_EVERY == 0


def schedule(seed: int, *, faults: int = 6) -> list[Schedule]:
    """Two runs on one table: a first one, and an upsert on top of it; each with so many faults and those at its end."""
    rng = random.Random(seed)
    drivers: list[Driver] = rng.choice([["embed", "embed"], ["embed", "serve"], ["serve", "embed"], ["embedded"] * 2])
    return [_one(rng, driver, faults, bucket=in_bucket(seed)) for driver in drivers]


def _one(rng: random.Random, driver: Driver, faults: int, *, bucket: bool) -> Schedule:
    kinds = _ANYWHERE if driver == "embedded" else _CLUSTER
    if bucket:
        kinds = {name: make for name, make in kinds.items() if name not in _ON_DISK} | _IN_BUCKET
    if driver == "embed":
        kinds = {**kinds, "a second producer": lambda rng: SecondProducer()}
    steps = tuple(_step(rng, kinds) for _ in range(faults))
    death = Death(_some(rng, 4, 8), moment=rng.choice(_LAST_MOMENTS))
    last = Step(0.0, death, _any(rng, _SUDDEN)) if rng.random() < 0.5 else Step(_some(rng, 0, 1.5), _any(rng, _SUDDEN))
    return Schedule(driver, steps, last)


def _step(rng: random.Random, kinds: dict[str, Make]) -> Step:
    fault = _any(rng, kinds)
    at_once = fault.seconds and rng.random() < 0.5
    return Step(_some(rng, 0.2, 2.5), fault, _any(rng, _SUDDEN) if at_once else None)


def _any(rng: random.Random, kinds: dict[str, Make]) -> Fault:
    return kinds[rng.choice(list(kinds))](rng)


def _some(rng: random.Random, least: float, most: float) -> float:
    return round(rng.uniform(least, most), 1)
