"""One embedded run of an id at a time on a machine: two of them would not see each other's Redis."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from producer import records
from schemas.errors import RunFailed
from schemas.files.address import is_remote
from schemas.run import RunRecord


@contextmanager
def alone(record: RunRecord) -> Iterator[None]:
    """Hold the run's lock file; a RunFailed where another process does."""
    path = _lock_path(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunFailed(
                f"run {record.run} is running in another process on this machine",
                way_out="wait for it, or end it and resume",
            ) from error
        yield


def _lock_path(record: RunRecord) -> Path:
    """Beside the run's record, or among this user's notes: an object store has no locks, and needs none to be right."""
    if not is_remote(record.table):
        return Path(record.table) / "_runs" / f".{record.run}.lock"
    table = blake2b(record.table.encode(), digest_size=8).hexdigest()
    return records.state_folder() / "locks" / f"{table}-{record.run}.lock"
