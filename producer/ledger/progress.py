"""How far a run is, by its ledger."""

from schemas.record import Record
from schemas.run import RunState


class Progress(Record):
    """The counters of a run at one moment; `jobs` is None until the whole source is cut.

    Jobs that somebody looks after are `sent` and not yet claimed, or `leased`: at work, or resting before another
    attempt. `deaths` are those of workers that were trying the rows of one suspect job, and so narrowed down which.
    """

    state: RunState
    reason: str = ""
    jobs: int | None
    enqueued: int
    done: int
    dead: int
    leased: int
    sent: int
    deaths: int = 0
    counters: dict[str, int]
    first_claim: float | None
    at: float

    @property
    def outstanding(self) -> int:
        """Jobs that are in Redis and have not ended."""
        return self.leased + self.sent

    @property
    def ended(self) -> bool:
        """Whether every job of the run is done or dead."""
        return self.jobs is not None and self.done + self.dead >= self.jobs
