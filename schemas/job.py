"""One job: the unit of queueing, of retry and of output.

A job is some thousands of consecutive chunks of one run. Its message is only a name; the texts lie
beside the queue in Redis until the job is done, and the worker knows the rest from the run's record.
"""

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.record import Record

#: The longest run id, and what one may hold: it becomes a folder name and part of Redis keys.
RUN_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"

#: However a run is cut: a worker makes room for a vector of each row.
MOST_JOB_ROWS = 65_536

RunId = Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)]


class Job(Record):
    """What a message carries: which job of which run. Never a path, a model, or an option."""

    run: RunId
    job: int = Field(ge=0)

    @property
    def part(self) -> str:
        """The part's path inside the table, the same for every attempt at this job."""
        return part_path(self.run, self.job)


def part_path(run: str, job: int) -> str:
    """Where the part of a job lies, relative to the table."""
    return f"{run}/part-{job:08d}.parquet"


def errors_path(run: str, job: int) -> str:
    """Where the failed rows of a job lie, relative to the table."""
    return f"_errors/{run}/part-{job:08d}.parquet"


def job_of_part(name: str) -> int | None:
    """The job number of a part's file name, or None for any other file (a temporary one, say)."""
    match = re.fullmatch(r"part-(\d{8,})\.parquet", name)
    return int(match.group(1)) if match else None
