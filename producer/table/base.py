"""Whether a run may still be committed to its table: what has become of the version that it began from.

An upsert goes on top of other upserts of the same model: where none of them takes a row away, what it left in place
is still there. Compaction moves rows without changing them. After anything else the run's comparison no longer holds.
"""

from typing import Any

from deltalake import DeltaTable

from producer.table.log import (
    DELETED_KEY,
    FINGERPRINT_KEY,
    MODE_KEY,
    OPERATION_KEY,
    RUN_KEY,
    STORE_KEY,
    entries_of,
    latest_log,
)
from schemas.errors import TableError
from schemas.run import RunRecord

_CHANGES_NO_ROW = ("OPTIMIZE", "VACUUM START", "VACUUM END")


def check_base(record: RunRecord) -> None:
    """A TableError where the table has moved on in a way that the run cannot be put on top of."""
    check_moves(record, latest_log(record.table))


def check_moves(record: RunRecord, log: DeltaTable | None) -> None:
    """The same of an opened log."""
    if record.mode == "replace":
        return
    if record.base_version is None:
        if log is not None:
            raise _moved(record, log.version(), "another run")
        return
    if log is None:
        raise TableError(f"the table {record.table} has gone since run {record.run} began", way_out=_AGAIN)
    moves = {
        entry["version"]: entry for entry in entries_of(log, record.table) if entry["version"] > record.base_version
    }
    for version in range(record.base_version + 1, log.version() + 1):
        if version not in moves or not _harmless(moves[version], record):
            raise _moved(record, version, _by(moves.get(version)))
    if log.version() < record.base_version:
        raise _moved(record, log.version(), "somebody who made it anew")


def _harmless(entry: dict[str, Any], record: RunRecord) -> bool:
    if entry.get("operation") in _CHANGES_NO_ROW or entry.get(OPERATION_KEY) == "compact":
        return True
    if record.chunking is not None:
        # Two upserts of one text may have left chunks of both.
        return False
    if int(entry.get(DELETED_KEY, 0)) or (record.step is not None and record.step.deleted):
        # One of the two would take away, by its tombstones, what the other has left in place or renewed.
        return False
    said = (entry.get(MODE_KEY), entry.get(FINGERPRINT_KEY), entry.get(STORE_KEY))
    return record.mode == "upsert" and record.step is not None and said == (
        "upsert", record.spec.fingerprint, record.store
    )  # fmt: skip


def _by(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "a commit that the log no longer tells of"
    return f"another run ({entry[RUN_KEY]})" if RUN_KEY in entry else str(entry.get("operation"))


def _moved(record: RunRecord, version: int, by: str) -> TableError:
    return TableError(
        f"{record.table} has got a version {version} from {by} since run {record.run} began, "
        f"and a run of mode {record.mode} cannot be put on top of it",
        way_out=_AGAIN,
    )


_AGAIN = "start a new run: it embeds what the table then lacks"
