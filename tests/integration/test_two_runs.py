"""Two runs on one table at the same moment, in processes of their own: neither is lost, readers notice nothing."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import producer
from tests.integration.conftest import Processes
from tests.integration.test_runs import outcome
from tests.integration.test_upsert import assert_holds, write

pytestmark = pytest.mark.integration

FIRST = {f"doc-{at}": "alpha beta" for at in range(20)} | {"both": "beta"}


class Field:
    """A table with a version, a worker, and two producers that meet before they commit."""

    def __init__(self, served: Processes, model: Path, folder: Path) -> None:
        self.table = folder / "table"
        self.folder = folder
        self._served = served
        self._options = ["--model", model, "--to", self.table, "--dtype", "float32", "--json"]
        outcome(self.alone(FIRST))

    def alone(self, corpus: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
        source = write(self.folder / "alone.parquet", corpus)
        return self._served.run("embed", source, *self._options, *more)

    def at_once(self, *runs: tuple[str, dict[str, str]]) -> list["subprocess.CompletedProcess[str]"]:
        meeting = self.folder / "meeting"
        meeting.mkdir()
        env = {"PYTHONPATH": str(Path(__file__).parent / "meeting"), "MEETING": str(meeting)}
        started = []
        for number, (mode, corpus) in enumerate(runs):
            source = write(self.folder / f"source-{number}.parquet", corpus)
            started.append(self._served.start("embed", source, *self._options, "--mode", mode, **env))
        ended = []
        for run in started:
            stdout, _ = run.communicate(timeout=300)
            ended.append(subprocess.CompletedProcess(run.args, run.returncode, stdout, run.log.read_text()))
        assert len(list(meeting.iterdir())) == 2, "they did not meet"
        return ended


@pytest.fixture
def field(served: Processes, tiny_model: Path, tmp_path: Path) -> Field:
    return Field(served, tiny_model, tmp_path)


@contextmanager
def read_all_the_while(table: Path) -> Iterator[list[bool]]:
    """Version 0, again and again: whether it was what it is."""
    ids, vectors = producer.read(str(table), version=0)
    same: list[bool] = []
    done = threading.Event()

    def reads() -> None:
        while not done.is_set():
            found = producer.read(str(table), version=0)
            same.append(list(found[0]) == list(ids) and np.array_equal(found[1], vectors))

    reader = threading.Thread(target=reads)
    reader.start()
    try:
        yield same
    finally:
        done.set()
        reader.join()


def test_two_upserts_both_arrive(field: Field, tiny_model: Path) -> None:
    one, other = {"one": "list", "both": "beta table"}, {"other": "vector", "both": "beta table"}
    with read_all_the_while(field.table) as same:
        results = [outcome(done) for done in field.at_once(("upsert", one), ("upsert", other))]
    assert sorted(result["version"] for result in results) == [1, 2]
    assert same
    assert all(same)
    assert_holds(field.table, tiny_model, {**FIRST, **one, **other})


def test_of_two_that_exclude_each_other_one_is_told_what_to_do(field: Field, tiny_model: Path) -> None:
    more, less = {"more": "vector"}, {id_: text for id_, text in FIRST.items() if id_ != "doc-0"}
    upsert, sync = field.at_once(("upsert", more), ("sync", less))
    refused, committed = (upsert, sync) if upsert.returncode else (sync, upsert)
    assert json.loads(committed.stdout.splitlines()[-1])["version"] == 1
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has got a version 1 from another run" in refused.stderr
    assert "start a new run" in refused.stderr
    if refused is upsert:
        outcome(field.alone(more))
        assert_holds(field.table, tiny_model, {**less, **more})
    else:
        outcome(field.alone(less, "--mode", "sync"))
        assert_holds(field.table, tiny_model, less)
