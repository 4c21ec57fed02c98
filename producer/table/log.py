"""Reading the Delta log: which files a version has, and which run's rows they are. Writes nothing."""

import json
import os
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from schemas.errors import TableError
from schemas.files import names_in
from schemas.files.address import is_remote, normal
from schemas.files.limits import FOR_DELTA
from schemas.files.trouble import telling

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


#: The log's entries are written by conditional puts, whatever the environment says; and nothing waits for ever.
_STORAGE = {"aws_conditional_put": "etag", **FOR_DELTA}


class LiveFile(NamedTuple):
    """One data file of a version; `path` is the whole path, `rows` what the log says of it."""

    path: str
    rows: int | None
    size_bytes: int


def storage(table: str) -> dict[str, str] | None:
    """What delta-rs is told of where a table is; it finds credentials in the environment by itself."""
    return _STORAGE if is_remote(table) else None


def latest_log(table: str, version: int | None = None) -> DeltaTable | None:
    """The table at a version that it has; None where nothing was committed yet, a TableError where it is unreadable."""
    if is_remote(table):
        table = normal(table)
    elif os.path.isfile(table):
        return None
    try:
        with telling(table):
            # Not `is_deltatable`: it asks the store with the interpreter's lock held, and all threads wait.
            return DeltaTable(table, version=version, storage_options=storage(table))
    except TableNotFoundError:
        return None
    except DeltaError as error:
        said = str(error).partition("\n")[0]
        raise TableError(f"the log of {table} cannot be read: {said}", way_out=f"see {table}/_delta_log") from error


def open_log(table: str, version: int | None = None) -> DeltaTable:
    """The table at a version; a TableError where there is none."""
    latest = latest_log(table)
    if latest is None:
        raise no_table(table)
    if version is None:
        return latest
    if not 0 <= version <= latest.version():
        raise TableError(
            f"{table} has no version {version}; its latest is {latest.version()}", way_out="see vecmill history"
        )
    return latest_log(table, version) or latest


def no_table(table: str) -> TableError:
    """Nothing was committed there; perhaps a run is on its way."""
    begun = names_in(os.path.join(table, "_runs"))
    return TableError(
        f"there is no table at {table}: nothing was committed there yet",
        way_out=f"vecmill status {table} says how far its run is" if begun else "check the path",
    )


def entries_of(log: DeltaTable, table: str) -> list[dict[str, Any]]:
    """What the log tells of the commits up to the opened version, the latest first, each with its `version`.

    delta-rs tells of all commits that are there when it is asked, but counts back from the version that was opened:
    with a commit in between, all numbers would be off. So it is asked until nothing has come in between.
    """
    newest = log
    while True:
        with telling(table):
            entries = list(newest.history())
        now = latest_log(table) or newest
        if now.version() == newest.version():
            return [entry for entry in entries if entry["version"] <= log.version()]
        newest = now


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
