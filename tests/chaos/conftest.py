"""A world of the fake engine's, for tests that strike by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import corpus
from tests.chaos.world import Driver, Log, Task, World

#: A job that takes so long ends only when the switch `fast` is set.
SLOW = 600 / 256


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds with a run that has begun; they end with the test."""
    worlds: list[World] = []

    def make(driver: Driver, *, seconds_per_text: float = SLOW, bucket: bool = False, **worker_env: str) -> World:
        world = World(tmp_path / "world", Log(tmp_path / "log"), seconds_per_text=seconds_per_text, bucket=bucket)
        worlds.append(world)
        world.env |= worker_env
        source = corpus.write(corpus.first(0), tmp_path / "corpus.parquet")
        world.begin(Task("run", source, driver))
        return world

    yield make
    for world in worlds:
        world.stop()
