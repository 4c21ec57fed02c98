"""What a commit tells the Delta log: the files that come and go, and what the run was. Writes nothing."""

import json
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from deltalake import CommitProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from producer.table.log import (
    DELETED_KEY,
    FINGERPRINT_KEY,
    MODE_KEY,
    OPERATION_KEY,
    RANGES_KEY,
    REUSED_KEY,
    ROWS_KEY,
    RUN_KEY,
    SPEC_KEY,
    STORE_KEY,
    USER_KEY,
    LiveFile,
)
from producer.table.parts import Part
from producer.table.user import user_name
from schemas.run import RunRecord


def added(part: Part) -> AddAction:
    """A part that comes in."""
    return file_added(LiveFile(part.path, part.rows, part.size_bytes), int(part.receipt.durable_at * 1000))


def file_added(file: LiveFile, written_ms: int, *, new_rows: bool = True) -> AddAction:
    """A file that comes in; its path is relative to the table. Readers of changes pass over one without new rows."""
    return AddAction(file.path, file.size_bytes, {}, written_ms, new_rows, json.dumps({"numRecords": file.rows}))


def file_removed(path: str, size_bytes: int, now_ms: int, *, rows_go: bool = True) -> RemoveAction:
    """A file that goes; its path is as the log has it."""
    return RemoveAction(path, rows_go, now_ms, size_bytes)


class Coming(NamedTuple):
    """What a run brings in: its parts, and the files of its twins (paths in the table)."""

    parts: Sequence[Part]
    twins: Sequence[LiveFile]

    @property
    def rows(self) -> int:
        """The rows of both."""
        return sum(part.rows for part in self.parts) + sum(file.rows or 0 for file in self.twins)

    def actions(self) -> list[AddAction]:
        """One for each file."""
        now_ms = int(time.time() * 1000)
        return [*(added(part) for part in self.parts), *(file_added(file, now_ms) for file in self.twins)]

    def files(self, table: str) -> list[LiveFile]:
        """All of them, with whole paths."""
        named = [*((part.path, part.rows, part.size_bytes) for part in self.parts), *self.twins]
        return [LiveFile(os.path.join(table, path), rows, size_bytes) for path, rows, size_bytes in named]


def upkeep(operation: str) -> CommitProperties:
    """What the history keeps of a commit that is no run's: what it was, and who made it."""
    return CommitProperties(custom_metadata={OPERATION_KEY: operation, USER_KEY: user_name()}, max_commit_retries=0)


def properties(record: RunRecord, rows: int) -> CommitProperties:
    """What the history keeps of the run, and the transaction that makes a second commit of it impossible."""
    ranges = {} if record.ranges is None else {RANGES_KEY: record.ranges.model_dump_json()}
    changes = record.changes
    counts = {} if changes is None else {REUSED_KEY: str(changes.reused), DELETED_KEY: str(changes.deleted)}
    said = {
        RUN_KEY: record.run,
        FINGERPRINT_KEY: record.spec.fingerprint,
        SPEC_KEY: record.spec.model_dump_json(),
        STORE_KEY: record.store,
        MODE_KEY: record.mode,
        **ranges,
        **counts,
        ROWS_KEY: str(rows),
        USER_KEY: user_name(),
    }
    # No retries of delta-rs's own: they would not look again at what another commit has done.
    return CommitProperties(
        custom_metadata=said, app_transactions=[Transaction(record.run, 1)], max_commit_retries=0
    )  # fmt: skip
