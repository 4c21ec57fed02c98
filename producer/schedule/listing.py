"""How a schedule is shown: to people as a line, to programs as an object."""

from datetime import datetime
from zoneinfo import ZoneInfo

from producer.broker import Broker
from producer.schedule.cron import Cron
from producer.schedule.outcome import failures_in_a_row, outcome
from producer.schedule.record import Overlap, Schedule, Standing
from producer.schedule.store import ScheduleStore
from schemas.record import Record
from schemas.run import Mode, SourceOptions
from schemas.spec import ModelOptions
from schemas.store import Store

#: So many fires that fail in a row make a schedule a failing one. It goes on firing.
FAILING = 3


class Listed(Record):
    """A schedule at one moment; times are those of its time zone, `state` and `detail` say how the last run went."""

    name: str
    cron: str
    timezone: str
    overlap: Overlap
    source: SourceOptions
    model: ModelOptions
    to: str
    store: Store
    mode: Mode
    next: str
    last: str | None
    run: str | None
    state: str
    detail: str
    failures: int
    failing: bool
    skipped: int

    def line(self) -> str:
        """What a person wants to know, in a line, and a second one where something went wrong."""
        line = f"{self.name}  {self.cron!r} {self.timezone}, {self.overlap}  next {self.next}"
        if self.last is not None:
            line += f"  last {self.last}: {self.state} ({self.run})"
        if self.skipped:
            line += f"  {self.skipped} skipped since"
        if self.failing:
            line += f"  FAILING: {self.failures} times in a row"
        return line + (f"\n  {self.detail}" if self.detail else "")


def listed(broker: Broker, *, now: float) -> list[Listed]:
    """Every schedule of a Redis, by name."""
    store = ScheduleStore(broker.client)
    both = ((store.get(name), store.standing(name)) for name in store.names())
    return [_listed(broker, schedule, standing, now) for schedule, standing in both if schedule and standing]


def next_tick(schedule: Schedule, after: float) -> str:
    """The first tick after a moment, in the schedule's time zone."""
    return _local(Cron(schedule.cron, schedule.timezone).after(after), schedule)


def _listed(broker: Broker, schedule: Schedule, standing: Standing, now: float) -> Listed:
    last = outcome(broker, schedule, standing)
    failures = failures_in_a_row(standing, last)
    asked = schedule.request
    return Listed(
        **schedule.model_dump(exclude={"request"}),
        source=asked.source,
        model=asked.model,
        to=asked.to,
        store=asked.store,
        mode=asked.mode,
        next=next_tick(schedule, max(now, standing.done_until)),
        last=None if standing.tick is None else _local(standing.tick, schedule),
        run=standing.run,
        state=last.state,
        detail=last.detail,
        failures=failures,
        failing=failures >= FAILING,
        skipped=standing.skipped,
    )


def _local(tick: int, schedule: Schedule) -> str:
    return datetime.fromtimestamp(tick, ZoneInfo(schedule.timezone)).isoformat(" ", "minutes")
