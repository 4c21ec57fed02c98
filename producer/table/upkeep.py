"""Going back to an older version, and taking away files that no version that is kept needs. delta-rs does the work.

Knows the log, the records of runs and what they still need; no source and no queue.
"""

import os
from typing import NamedTuple

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from producer.table.actions import upkeep
from producer.table.base import check_base
from producer.table.log import live_files, open_log
from producer.table.state import read_record
from schemas.errors import TableError
from schemas.files import names_in
from schemas.files.trouble import telling
from schemas.run import RunRecord

KEEP_DAYS = 7


class Vacuumed(NamedTuple):
    """How many files went, and the runs whose version was spared because they may still be committed."""

    files: int
    spared: list[RunRecord]


def restore(table: str, version: int) -> int:
    """Make the rows of an older version those of a new one; gives the new one's number, or the present one's."""
    present = open_log(table)
    if version == present.version():
        return version
    missing = _missing([file.path for file in live_files(open_log(table, version), table)])
    if missing:
        raise TableError(
            f"version {version} of {table} cannot be restored: {len(missing)} of its files are gone, as {missing[0]}",
            way_out="a vacuum took them away; vecmill history lists the other versions",
        )
    try:
        with telling(table):
            present.restore(version, commit_properties=upkeep("restore"))
    except DeltaError as error:
        raise TableError(f"{table} could not be restored to version {version}: {error}", way_out="try again") from error
    return open_log(table).version()


def vacuum(table: str, *, keep_days: int = KEEP_DAYS) -> Vacuumed:
    """Delete the files that left the table longer ago; parts of runs that are not committed never were in it."""
    log = open_log(table)
    spared = [record for record in _unfinished(table, log) if _may_commit(record)]
    bases = sorted({record.base_version for record in spared if record.base_version is not None})
    with telling(table):
        gone = log.vacuum(
            retention_hours=24 * keep_days,
            dry_run=False,
            # Fewer days than the table's own are asked for on purpose.
            enforce_retention_duration=False,
            commit_properties=upkeep("vacuum"),
            keep_versions=bases or None,
        )
    return Vacuumed(len(gone), spared)


def _missing(paths: list[str]) -> list[str]:
    there = {folder: set(names_in(folder)) for folder in {os.path.dirname(path) for path in paths}}
    return [path for path in paths if os.path.basename(path) not in there[os.path.dirname(path)]]


def _unfinished(table: str, log: DeltaTable) -> list[RunRecord]:
    """Runs on a version of this table that have work left."""
    names = sorted(names_in(os.path.join(table, "_runs")))
    records = [read_record(table, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    return [
        record
        for record in records
        if record is not None and record.step is not None and not record.unchanged
        and log.transaction_version(record.run) is None
    ]  # fmt: skip


def _may_commit(record: RunRecord) -> bool:
    try:
        check_base(record)
    except TableError:
        return False
    return True
