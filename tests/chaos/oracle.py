"""What must be true after any faults: every id once, each with its own vector, nothing torn, nothing foreign."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq

import producer
from producer.table.log import open_log
from schemas.files import names_in, opened
from tests.chaos.arithmetic import vectors_of
from tests.chaos.corpus import Corpus


class Wrong(AssertionError):
    """Something was lost, doubled, torn, or is not what it should be."""


def check_version(table: str, corpus: Corpus, version: int) -> None:
    """Every id of a version once, with the vector of its text."""
    ids, vectors = producer.read(table, version=version)
    ids = list(ids)
    doubled = [id_ for id_, times in Counter(ids).items() if times > 1]
    if doubled:
        raise Wrong(f"version {version}: {len(doubled)} ids are there twice: {doubled[:3]}")
    lost, foreign = corpus.keys() - set(ids), set(ids) - corpus.keys()
    if lost or foreign:
        raise Wrong(f"version {version}: {len(lost)} ids lost {sorted(lost)[:3]}, {len(foreign)} foreign")
    wrong = np.flatnonzero((vectors != vectors_of([corpus[id_] for id_ in ids])).any(axis=1))
    if len(wrong):
        raise Wrong(f"version {version}: {len(wrong)} wrong vectors, that of {ids[wrong[0]]} among them")


def check_folder(table: str, runs: list[str]) -> int:
    """Every Parquet file is whole and belongs to a run that was asked for; returns the leftovers of broken writes.

    A worker that is killed in a write after its run is committed may leave its temporary file: no reader looks at it.
    """
    live = {uri.rpartition("/")[2] for uri in open_log(table).file_uris()}
    leftovers = 0
    for run in names_in(table):
        for name in [] if run.startswith("_") else sorted(names_in(f"{table}/{run}")):
            if name.startswith(".") and name.endswith(".tmp"):
                leftovers += 1
                continue
            if run not in runs or not name.endswith(".parquet"):
                raise Wrong(f"{run}/{name} is foreign")
            rows = _rows(f"{table}/{run}/{name}")
            if name.startswith("part-") and rows and name not in live and run == runs[-1]:
                raise Wrong(f"{run}/{name} is a part of no version")
    for run in names_in(f"{table}/_errors"):
        raise Wrong(f"rows of {run} failed that should not: {names_in(f'{table}/_errors/{run}')}")
    return leftovers


def _rows(path: str) -> int:
    """The rows of a file, all of which are read."""
    with opened(path) as stream:
        return len(pq.read_table(stream))
