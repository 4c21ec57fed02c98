"""What came of a schedule's last fire: as its run's ledger says while Redis knows it, else as the table says.

Asked anew each time, so a run that failed and was retried counts as what it is now.
"""

from typing import Literal

from producer.broker import Broker
from producer.schedule.record import Schedule, Standing
from producer.table import committed_version, read_record
from schemas.files.address import normal
from schemas.record import Record
from schemas.run import RunState


class Outcome(Record):
    """How the last fire went; `lost` where neither Redis nor the table knows its run."""

    state: Literal["none", "unchanged", "lost"] | RunState
    detail: str = ""

    @property
    def lasts(self) -> bool:
        """Whether its run may still go on."""
        return self.state in ("running", "paused")


def outcome(broker: Broker, schedule: Schedule, standing: Standing) -> Outcome:
    """The outcome of the fire that the standing tells of."""
    if standing.error:
        return Outcome(state="failed", detail=standing.error)
    if standing.run is None:
        return Outcome(state="none")
    ledger = broker.ledger(standing.run)
    progress = ledger.progress()
    if progress is not None and progress.state != "committed":
        return Outcome(state=progress.state, detail=progress.reason)
    return _in_table(normal(schedule.request.to), standing.run, committed=progress is not None)


def failures_in_a_row(standing: Standing, last: Outcome) -> int:
    """How many fires failed one after the other, up to the last; a cancelled one was nobody's failure."""
    if last.state in ("committed", "unchanged"):
        return 0
    return standing.failures + (last.state == "failed")


def _in_table(table: str, run: str, *, committed: bool) -> Outcome:
    record = read_record(table, run)
    if record is not None and record.unchanged:
        return Outcome(state="unchanged", detail=f"version {record.base_version}")
    version = committed_version(table, run)
    if version is not None:
        return Outcome(state="committed", detail=f"version {version}")
    if committed:
        return Outcome(state="committed")
    if record is None:
        return Outcome(state="lost", detail="neither Redis nor the table knows its run")
    return Outcome(state="failed", detail="its run is not committed, and Redis no longer knows it")
