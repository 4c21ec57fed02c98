"""The versions of a table, as records. Reads the Delta log only."""

from typing import Any

from producer.table.log import FINGERPRINT_KEY, ROWS_KEY, RUN_KEY, USER_KEY, commit_of, open_log
from schemas.record import Record


class Version(Record):
    """One version. `run` and `fingerprint` are those of its rows; `rows` and `user` are known of runs' commits only."""

    version: int
    at: float
    operation: str
    run: str | None
    fingerprint: str | None
    rows: int | None
    user: str | None


def history(table: str) -> list[Version]:
    """The versions, the latest first."""
    entries = open_log(table).history()
    return [_version(entry, commit_of(entries, entry["version"]) or {}) for entry in entries]


def _version(entry: dict[str, Any], commit: dict[str, Any]) -> Version:
    rows = entry.get(ROWS_KEY)
    return Version(
        version=entry["version"],
        at=entry["timestamp"] / 1000,
        operation=entry["operation"],
        run=commit.get(RUN_KEY),
        fingerprint=commit.get(FINGERPRINT_KEY),
        rows=None if rows is None else int(rows),
        user=entry.get(USER_KEY),
    )
