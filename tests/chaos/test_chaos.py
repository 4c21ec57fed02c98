"""A bounded slice of `make chaos`, and that its parts can be trusted: schedules repeat, and the oracle finds faults."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import producer
from tests.chaos import world
from tests.chaos.arithmetic import vectors_of
from tests.chaos.found import server_below
from tests.chaos.oracle import Wrong, check_version
from tests.chaos.play import play
from tests.chaos.schedule import schedule

CORPUS = {f"doc-{at}": f"text {at}" for at in range(9)}


@pytest.mark.integration
@pytest.mark.parametrize("seed", [10])
def test_nothing_is_lost_and_nothing_twice(tmp_path: Path, seed: int) -> None:
    """To play it again: python -m tests.chaos --seed SEED --faults 2."""
    outcome = play(seed, keep=tmp_path, faults=2)
    assert outcome.ok, f"{outcome.line()}\n{next(tmp_path.glob('*/log')).read_text()}"


@pytest.mark.integration
@pytest.mark.parametrize("missing", ["Proxy", "Kept"])
def test_a_world_that_does_not_come_about_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(missing)

    monkeypatch.setattr(world, missing, fails)
    with pytest.raises(OSError, match=missing), begun(tmp_path):
        pass
    assert server_below(os.getpid(), str(tmp_path)) is None
    assert not os.path.ismount(tmp_path / "world" / "disk")


@contextmanager
def begun(folder: Path) -> Iterator[None]:
    one = world.World(folder / "world", world.Log(folder / "log"), seconds_per_text=0)
    try:
        one.begin(world.Task("run", folder / "nothing", "embed"))
        yield
    finally:
        one.stop()


@given(st.integers(0, 10**9), st.integers(0, 9))
def test_a_seed_gives_one_schedule_of_so_many_faults(seed: int, faults: int) -> None:
    runs = schedule(seed, faults=faults)
    assert runs == schedule(seed, faults=faults)
    assert [len(run.steps) for run in runs] == [faults, faults]


def test_seeds_differ_and_together_hold_every_fault() -> None:
    runs = [run for seed in range(200) for run in schedule(seed)]
    assert len(set(runs)) == len(runs)
    drivers = Counter(run.driver for run in runs)
    assert drivers.keys() == {"embed", "serve", "embedded"}
    struck = {type(step.fault).__name__ for run in runs for step in run.steps}
    assert struck == {
        "Worker", "Producer", "SecondProducer", "Redis", "Wipe", "OldRedis", "Setting", "Network", "FullDisk", "Clock",
        "Death", "Store",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([f"doc-{at}" for at in range(8)], "1 ids lost"),
        ([*CORPUS, "doc-3"], "1 ids are there twice"),
        ([*CORPUS, "somebody's"], "1 foreign"),
    ],
    ids=["lost", "doubled", "foreign"],
)
def test_the_oracle_counts_ids(monkeypatch: pytest.MonkeyPatch, ids: list[str], said: str) -> None:
    vectors = vectors_of([CORPUS.get(id_, "") for id_ in ids])
    monkeypatch.setattr(producer, "read", lambda table, version: (ids, vectors))
    with pytest.raises(Wrong, match=said):
        check_version("table", CORPUS, 0)


def test_the_oracle_knows_each_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    right = vectors_of(list(CORPUS.values()))
    monkeypatch.setattr(producer, "read", lambda table, version: (list(CORPUS), right))
    check_version("table", CORPUS, 0)
    swapped = np.concatenate([right[1:2], right[:1], right[2:]])
    monkeypatch.setattr(producer, "read", lambda table, version: (list(CORPUS), swapped))
    with pytest.raises(Wrong, match="2 wrong vectors, that of doc-0"):
        check_version("table", CORPUS, 0)
