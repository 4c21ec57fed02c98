"""Run records on disk: written before the first job, found again by run id or by table.

The record in `TABLE/_runs/` is the truth. A small note in the user's state folder remembers which table a
run id belongs to, so that `vecmill resume RUN` needs nothing else on the machine where the run began.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from producer.table import read_record
from schemas.errors import UsageError
from schemas.files import names_in, written
from schemas.files.address import is_remote, normal
from schemas.nearest import meant
from schemas.run import RunRecord


def save(record: RunRecord) -> None:
    """Write the record into its table, whole or not at all, and note its place for later."""
    _write(os.path.join(record.table, record.path), record.model_dump_json(indent=1))
    try:
        _write(str(_note(record.run)), json.dumps({"table": record.table}))
    except OSError:
        # Without the note the run is still found by its table.
        return


def of_table(table: str) -> Iterator[RunRecord]:
    """Every run recorded in a table, newest first."""
    names = (name for name in names_in(os.path.join(table, "_runs")) if name.endswith(".json"))
    found = (read_record(table, name.removesuffix(".json")) for name in names)
    records = [record for record in found if record is not None]
    yield from sorted(records, key=lambda record: record.created_at, reverse=True)


def find(run_or_table: str, *, others: Iterable[str] = ()) -> RunRecord:
    """The run with this id, or the latest run of the table at this place; raises `UsageError` where there is none.

    `others` are runs that are known elsewhere, for a hint at what was meant.
    """
    if is_remote(run_or_table) or Path(run_or_table).is_dir():
        for record in of_table(normal(run_or_table)):
            return record
        raise UsageError(f"no run is recorded in {run_or_table}", way_out=f"vecmill embed ... --to {run_or_table}")
    note = _note(run_or_table)
    table = _noted(note)
    if table is not None:
        found = read_record(table, run_or_table)
        if found is not None:
            return found
        raise UsageError(
            f"the record of run {run_or_table} is no longer in {table}",
            way_out="if the table was moved, name it instead",
        )
    known = [*others, *(path.stem for path in _note("x").parent.glob("*.json"))]
    raise UsageError(
        f"no run {run_or_table!r} is known on this machine, and no folder has this name",
        way_out=meant(run_or_table, known, "name its table instead; vecmill runs TABLE lists its runs"),
    )


def _noted(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text())["table"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def state_folder() -> Path:
    """Where this user's notes lie on this machine."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "vecmill"


def _note(run: str) -> Path:
    return state_folder() / "runs" / f"{Path(run).name}.json"


def _write(path: str, text: str) -> None:
    with written(path) as file:
        file.write(text.encode())
