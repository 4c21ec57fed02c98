"""Where a run writes: the table, temporary files, this user's notes. What it tries to write it takes away again."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from producer.doctor.check import Check
from producer.records import state_folder
from producer.table import open_table
from producer.table.check import check_writable
from schemas.files.address import is_remote, normal

#: A million vectors of 384 numbers take 1.5 GB; below this a run of any size is in danger.
_LITTLE_BYTES = 2 * 10**9


def look_at_table(table: str) -> Iterator[Check]:
    """Whether a run could write there, and what is there."""
    check_writable(table)
    if not is_remote(table):
        yield from _room("table", _nearest(Path(normal(table))), "name another folder: --to")
    state = open_table(normal(table))
    if state is None:
        said = "nothing is committed there yet"
    else:
        said = f"version {state.version} has {state.rows:,} rows of {state.spec.model}"
    yield Check(subject="table", verdict="good", said=f"{table}: {said}")


def look_at_disks() -> Iterator[Check]:
    """Temporary files and notes."""
    yield from _room("TMPDIR", Path(tempfile.gettempdir()), "set TMPDIR to a folder on another disk")
    for check in _room("notes", _nearest(state_folder()), "set XDG_STATE_HOME to a folder of yours"):
        # Without notes runs are still found by their tables.
        yield check if check.verdict == "good" else check.model_copy(update={"verdict": "warning"})


def _room(subject: str, folder: Path, way_out: str) -> Iterator[Check]:
    """Whether a file can be written, and how many more."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".vecmill-doctor-") as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        said = f"nothing can be written in {folder}: {error.strerror}"
        yield Check(subject=subject, verdict="problem", said=said, way_out=way_out)
        return
    if free < _LITTLE_BYTES:
        said = f"only {decimal(free)} free in {folder}"
        yield Check(subject=subject, verdict="warning", said=said, way_out=way_out)
    else:
        yield Check(subject=subject, verdict="good", said=f"{decimal(free)} free in {folder}")


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())
