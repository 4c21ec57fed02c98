"""A schedule as it was added, and where it stands. Knows no Redis."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from producer.request import EmbedRequest
from schemas.job import RunId
from schemas.record import Record

Overlap = Literal["skip", "queue"]
#: With the tick behind it, a name must still fit into a run's.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"


class Schedule(Record):
    """What is embedded when. `request` names no broker: a schedule belongs to the Redis that it is kept in.

    `overlap` says what a tick does while the run before lasts: `skip` passes it over, `queue` fires once that ended.
    """

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    cron: str
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    request: EmbedRequest


class Standing(Record):
    """What became of a schedule's ticks. Moments are whole seconds since 1970, by the clock of Redis.

    Every tick up to `done_until` was dealt with; `asked` is when `schedule run` asked for a run that has not begun;
    `firing` is the tick whose run is being begun: no other one is fired until that is noted. `run` and `tick` are those
    of the last fire, `error` why that began no run. `failures` of the fires before it failed in a row; `skipped` ticks
    were passed over since.
    """

    done_until: int
    asked: int | None = None
    firing: int | None = None
    run: RunId | None = None
    tick: int | None = None
    error: str = ""
    failures: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)

    def lacks(self, tick: int) -> bool:
        """Whether this tick was not dealt with yet."""
        return tick > self.done_until or tick == self.asked

    def without(self, tick: int) -> "Standing":
        """The standing once this tick is dealt with."""
        asked = None if tick == self.asked else self.asked
        return self.model_copy(update={"done_until": max(tick, self.done_until), "asked": asked, "firing": None})


def run_id(schedule: str, tick: int) -> str:
    """The run of a tick: whoever fires it begins the same one."""
    return f"{schedule}-{datetime.fromtimestamp(tick, UTC):%Y%m%dT%H%M%SZ}"


def at_tick(schedule: Schedule, tick: int) -> EmbedRequest:
    """What is asked of `embed` at a tick."""
    return schedule.request.model_copy(update={"run_id": run_id(schedule.name, tick)})
