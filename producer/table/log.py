"""Reading the Delta log: which files a version has, and which run's rows they are. Writes nothing."""

import json
import os
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from schemas.errors import TableError

#: What a run's commit says of it, for the history and for the next run.
RUN_KEY = "vecmill.run"
FINGERPRINT_KEY = "vecmill.fingerprint"
SPEC_KEY = "vecmill.spec"
STORE_KEY = "vecmill.store"
RANGES_KEY = "vecmill.ranges"
ROWS_KEY = "vecmill.rows"
MODE_KEY = "vecmill.mode"
REUSED_KEY = "vecmill.reused"
DELETED_KEY = "vecmill.deleted"
USER_KEY = "vecmill.user"
#: What a commit that is no run's was: "compact", "restore" or "vacuum".
OPERATION_KEY = "vecmill.operation"


class LiveFile(NamedTuple):
    """One data file of a version; `path` is the whole path, `rows` what the log says of it."""

    path: str
    rows: int | None
    size_bytes: int


def open_log(table: str, version: int | None = None) -> DeltaTable:
    """The table at a version; a TableError where there is none."""
    if not DeltaTable.is_deltatable(table):
        raise TableError(f"there is no table at {table}: nothing was committed there yet", way_out="check the path")
    if version is None:
        return DeltaTable(table)
    latest = DeltaTable(table).version()
    if not 0 <= version <= latest:
        raise TableError(f"{table} has no version {version}; its latest is {latest}", way_out="see vecmill history")
    return DeltaTable(table, version=version)


def live_files(log: DeltaTable, table: str) -> list[LiveFile]:
    """The files of the opened version, in the order of their names: that of runs and jobs."""
    actions = pa.table(log.get_add_actions(flatten=True)).select(["path", "num_records", "size_bytes"])
    files = [
        LiveFile(os.path.join(table, unquote(row["path"])), row["num_records"], row["size_bytes"])
        for row in actions.to_pylist()
    ]
    return sorted(files)


def logged_paths(log: DeltaTable, table: str) -> dict[str, str]:
    """The files of the opened version: their whole paths, and how the log spells them."""
    listed = pa.table(log.get_add_actions(flatten=True)).column("path").to_pylist()
    return {os.path.join(table, unquote(path)): path for path in listed}


def commit_of(history: list[dict[str, Any]], version: int) -> dict[str, Any] | None:
    """The run's commit whose rows a version has: compaction keeps them, a restore goes back to older ones."""
    return commits_of(history).get(version)


def commits_of(history: list[dict[str, Any]]) -> dict[int, dict[str, Any] | None]:
    """The same of every version that the history tells of; each follows from an older one, so one pass does."""
    found: dict[int, dict[str, Any] | None] = {}
    for entry in sorted(history, key=lambda entry: int(entry["version"])):
        version = int(entry["version"])
        restored = (entry.get("operationParameters") or {}).get("version")
        is_restore = entry.get("operation") == "RESTORE" and restored is not None
        before = int(json.loads(str(restored))) if is_restore else version - 1
        found[version] = entry if RUN_KEY in entry else found.get(before)
    return found
