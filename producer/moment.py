"""What a Redis is doing at one moment: its runs, its workers and its queue. For whoever watches; changes nothing."""

from typing import NamedTuple

import redis

from producer.ledger import Ledger, Progress, known_runs, living_workers, malformed, queued, unacknowledged
from schemas.ledger import Heartbeat
from schemas.run import RunRecord

#: States in which something can still happen by itself, or when it is let go on.
OPEN_STATES = ("running", "paused")


class RunMoment(NamedTuple):
    """One run, as its ledger has it; `driven` says whether a process does."""

    record: RunRecord
    progress: Progress
    driven: bool

    @property
    def open(self) -> bool:
        """Whether it runs or is paused."""
        return self.progress.state in OPEN_STATES

    @property
    def rows(self) -> int:
        """How many it has to embed."""
        return self.record.rows_to_embed

    @property
    def rows_done(self) -> int:
        """How many of them have a vector or have failed."""
        return self.progress.counters["rows"] + self.failed

    @property
    def failed(self) -> int:
        """How many rows have failed."""
        return self.progress.counters["failed"]

    @property
    def leased(self) -> int:
        """Jobs that workers hold."""
        return self.progress.leased

    @property
    def jobs_done(self) -> int:
        """Jobs whose part is durable."""
        return self.progress.done

    @property
    def jobs_dead(self) -> int:
        """Jobs that failed at every attempt."""
        return self.progress.dead


class Moment(NamedTuple):
    """Everything at once; runs in the order of their beginning, the oldest first."""

    runs: tuple[RunMoment, ...]
    workers: tuple[Heartbeat, ...]
    queued: int
    unacknowledged: int
    malformed: int


def look(client: redis.Redis) -> Moment:
    """Ask for all of it; a Redis that does not answer raises what its client raises."""
    found = (_run(Ledger(client, name)) for name in known_runs(client))
    return Moment(
        runs=tuple(run for run in found if run is not None),
        workers=tuple(living_workers(client)),
        queued=queued(client),
        unacknowledged=unacknowledged(client),
        malformed=malformed(client),
    )


def _run(ledger: Ledger) -> RunMoment | None:
    progress = ledger.progress()
    record = None if progress is None else ledger.record()
    # A sample is no run of its own.
    if progress is None or record is None or record.sample_of is not None:
        return None
    return RunMoment(record, progress, driven=ledger.holder() is not None)
