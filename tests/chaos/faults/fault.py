"""What every fault is: it strikes, lasts for a while, and is mended. A world is all it knows."""

import os
from dataclasses import dataclass

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


def send(pid: int, number: int) -> None:
    """A signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
