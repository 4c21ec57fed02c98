"""The versions of a table, as records. Reads the Delta log only."""

from typing import Any

from producer.table.log import (
    DELETED_KEY,
    FINGERPRINT_KEY,
    MODE_KEY,
    OPERATION_KEY,
    REUSED_KEY,
    ROWS_KEY,
    RUN_KEY,
    USER_KEY,
    commits_of,
    entries_of,
    open_log,
)
from schemas.record import Record


class Version(Record):
    """One version. `run` and `fingerprint` are those of its rows; the rest is known of runs' commits only.

    `rows` are those that the run embedded, `reused` and `deleted` what it did with the others of the version before.
    """

    version: int
    at: float
    operation: str
    run: str | None
    fingerprint: str | None
    mode: str | None = None
    rows: int | None
    reused: int | None = None
    deleted: int | None = None
    user: str | None


def history(table: str) -> list[Version]:
    """The versions, the latest first."""
    entries = entries_of(open_log(table), table)
    commits = commits_of(entries)
    return [_version(entry, commits.get(entry["version"]) or {}) for entry in entries]


def _version(entry: dict[str, Any], commit: dict[str, Any]) -> Version:
    return Version(
        version=entry["version"],
        at=entry["timestamp"] / 1000,
        operation=entry.get(OPERATION_KEY) or entry["operation"],
        run=commit.get(RUN_KEY),
        fingerprint=commit.get(FINGERPRINT_KEY),
        mode=entry.get(MODE_KEY),
        rows=_number(entry, ROWS_KEY),
        reused=_number(entry, REUSED_KEY),
        deleted=_number(entry, DELETED_KEY),
        user=entry.get(USER_KEY),
    )


def _number(entry: dict[str, Any], key: str) -> int | None:
    return int(entry[key]) if key in entry else None
