"""How the cost of a table grows with its parts and its versions: commit, reading receipts, history, the list of runs.

    python -m benchmarks.growth

Commits are given receipts of parts that do not exist but for the first, whose footer has the schema: the log does not
care. Receipts are read from real parts of one row each. Wall seconds, least of two where a thing can be repeated.
The last line of stdout is one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from benchmarks import machine
from benchmarks.scaling import a_record
from producer.table import Part, commit, committed_version, committed_versions, history, list_parts
from schemas.arrow import payload_schema
from schemas.job import part_path
from schemas.receipt import Receipt, SourceRange
from schemas.run import RunRecord
from worker.output import Encoded, write_part


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="vecmill-growth-") as folder:
        work = Path(folder)
        commits = [committing(work / f"commit-{parts}", parts) for parts in options.parts]
        reading = [receipts(work / f"read-{parts}", parts) for parts in options.receipts]
        versions = many_versions(work / "versions", options.versions)
    print(json.dumps({"commits": commits, "receipts": reading, "tables": versions} | machine.facts()))


def committing(work: Path, parts: int) -> dict[str, Any]:
    """One commit of so many parts."""
    record = a_record(work, work, jobs=parts, job_rows=1)
    write_one(record, 0)
    real = list_parts(record.table, record.run)[0]
    listed = [real] + [an_imagined_part(record, job, real) for job in range(1, parts)]
    seconds = timed(lambda: commit(record, listed))
    log = Path(record.table) / "_delta_log" / f"{0:020d}.json"
    return {
        "parts": parts, "seconds": seconds, "log_bytes": log.stat().st_size,
        "open_seconds": timed(lambda: DeltaTable(record.table)),
        "committed_version_seconds": timed(lambda: committed_version(record.table, record.run)),
    }  # fmt: skip


def receipts(work: Path, parts: int) -> dict[str, Any]:
    """Reading the footers of so many parts, as resuming does."""
    record = a_record(work, work, jobs=parts, job_rows=1)
    write_one(record, 0)
    first = Path(record.table) / part_path(record.run, 0)
    data = first.read_bytes()
    for job in range(1, parts):
        # A copy says in its receipt that it is of job 0, so it is read and then passed over: the same work.
        (Path(record.table) / part_path(record.run, job)).write_bytes(data)
    return {"parts": parts, "seconds": min(timed(lambda: list_parts(record.table, record.run)) for _ in range(2))}


def many_versions(work: Path, runs: list[int]) -> list[dict[str, Any]]:
    """The costs of asking a table with so many committed runs."""
    found = []
    for made in range(1, max(runs) + 1):
        changed = {"run": f"run-{made}", "mode": "replace"}
        record = a_record(work, work, jobs=1, job_rows=1).model_copy(update=changed)
        write_one(record, 0)
        commit(record, list_parts(record.table, record.run))
        if made in runs:
            found.append(asked(record, made))
    return found


def asked(record: RunRecord, made: int) -> dict[str, Any]:
    """`history`, the version of the last run, and those of all runs, as `vecmill runs` lists them."""
    every = [f"run-{run}" for run in range(1, made + 1)]
    return {
        "versions": made,
        "history_seconds": timed(lambda: history(record.table)),
        "one_run_seconds": timed(lambda: committed_version(record.table, record.run)),
        "all_runs_seconds": timed(lambda: committed_versions(record.table, every)),
    }


def write_one(record: RunRecord, job: int) -> None:
    """A real part of one row."""
    rows = pa.table([[f"doc-{job}"], pa.array([0], pa.int32()), ["text"], pa.nulls(1, pa.string())],
                    schema=payload_schema([]))  # fmt: skip
    encoded = Encoded(np.zeros((1, record.spec.dims), np.float32), np.ones(1, np.int32), np.zeros(1, np.bool_))
    write_part(rows, encoded, record=record, receipt=a_receipt(record, job))


def a_receipt(record: RunRecord, job: int) -> Receipt:
    place = SourceRange(start=(0, job, job), end=(0, job + 1, job + 1))
    return Receipt(
        run=record.run, job=job, fingerprint=record.spec.fingerprint, source=place, rows=1, claimed_at=1.0,
        durable_at=2.0, worker="none", device="none", dtype="float32",
    )  # fmt: skip


def an_imagined_part(record: RunRecord, job: int, like: Part) -> Part:
    return Part(part_path(record.run, job), 1, like.size_bytes, a_receipt(record, job))


def timed(work: Callable[[], Any]) -> float:
    """Wall seconds."""
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="of a commit")
    parser.add_argument("--receipts", type=int, nargs="+", default=[1_000, 10_000], help="parts that are read")
    parser.add_argument("--versions", type=int, nargs="+", default=[50, 100, 200], help="runs of one table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
