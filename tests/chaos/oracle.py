"""What must be true after any faults: every id once, each with its own vector, nothing torn, nothing foreign."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from deltalake import DeltaTable

import producer
from tests.chaos.arithmetic import vectors_of
from tests.chaos.corpus import Corpus


class Wrong(AssertionError):
    """Something was lost, doubled, torn, or is not what it should be."""


def check_version(table: Path, corpus: Corpus, version: int) -> None:
    """Every id of a version once, with the vector of its text."""
    ids, vectors = producer.read(str(table), version=version)
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


def check_folder(table: Path, runs: list[str]) -> int:
    """Every Parquet file is whole and belongs to a run that was asked for; returns the leftovers of broken writes.

    A worker that is killed in a write after its run is committed may leave its temporary file: no reader looks at it.
    """
    live = {Path(uri).name for uri in DeltaTable(table).file_uris()}
    leftovers = 0
    for path in sorted(table.rglob("*")):
        place = path.relative_to(table)
        if place.parts[0].startswith("_") or path.is_dir():
            continue
        if path.name.startswith(".") and path.name.endswith(".tmp"):
            leftovers += 1
            continue
        if place.parts[0] not in runs or path.suffix != ".parquet":
            raise Wrong(f"{place} is foreign")
        pq.read_table(path)
        if path.name.startswith("part-") and path.name not in live and place.parts[0] == runs[-1]:
            raise Wrong(f"{place} is a part of no version")
    failed = list((table / "_errors").rglob("*.parquet"))
    if failed:
        raise Wrong(f"rows failed that should not: {pq.read_table(failed[0]).to_pylist()[:2]}")
    return leftovers
