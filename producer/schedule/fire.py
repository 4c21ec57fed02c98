"""Fires what is due: begins the run of a tick, which whoever serves then carries out like any detached run.

Any number of services may look at once. One of them claims a tick, which is noted with the schedule; the run of a tick
has an id that follows from both, and is begun in that run's place in Redis, which one process has at a time and which
frees itself when that process dies. So a tick whose service was killed between its claim and the start of its run is
fired by a later look of any service, and is the same run.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from producer.broker import OUTAGE, Broker
from producer.display import Display
from producer.ledger import Ledger
from producer.place import Place
from producer.request import Where
from producer.schedule.cron import Cron
from producer.schedule.outcome import failures_in_a_row, outcome
from producer.schedule.record import Schedule, Standing, at_tick, run_id
from producer.schedule.store import ScheduleStore
from producer.start import begin, recorded
from schemas.errors import BrokerError, BucketAway, RunTaken, VecmillError


class Due(NamedTuple):
    """A tick that is to be fired now."""

    schedule: Schedule
    tick: int

    @property
    def run(self) -> str:
        """The run that it begins."""
        return run_id(self.schedule.name, self.tick)


class Scheduler:
    """The schedules of one Redis, by a clock that gives seconds since 1970: that of Redis unless told otherwise."""

    def __init__(self, broker: Broker, display: Display, *, clock: Callable[[], float] | None = None) -> None:
        self._broker = broker
        self._display = display
        self._store = ScheduleStore(broker.client)
        self._clock = clock or self._store.now
        self._told: dict[str, str] = {}

    def due(self) -> Iterator[Due]:
        """Claim what is to be fired: of ticks that were missed the latest, once; or what a service left half fired."""
        now = self._clock()
        for name in self._store.names():
            try:
                schedule = self._store.get(name)
                tick = None if schedule is None else self._claim(schedule, now)
            except VecmillError as error:
                self._tell(name, str(error))
                continue
            if schedule is not None and tick is not None:
                yield Due(schedule, tick)

    def fire(self, due: Due) -> None:
        """Begin the run of a tick, unless another service does; what stops it from beginning is the fire's outcome."""
        ledger = self._broker.ledger(due.run)
        try:
            if ledger.progress() is None:
                if ledger.holder() is not None:
                    return
                self._begin(due, ledger)
        except RunTaken:
            return
        except (*OUTAGE, BrokerError, BucketAway) as error:
            self._tell(due.schedule.name, f"could not fire: {error}; it is tried again")
        except Exception as error:  # whatever it is, it must not stop other schedules, nor be tried every two seconds
            self._note(due, error=str(error) or type(error).__name__)
        else:
            self._note(due)

    def _claim(self, schedule: Schedule, now: float) -> int | None:
        """The tick that is to be fired now, and by nobody passed over any more."""
        standing = self._store.standing(schedule.name)
        if standing is None or standing.firing is not None:
            return None if standing is None else standing.firing
        tick = standing.asked or Cron(schedule.cron, schedule.timezone).latest(standing.done_until, now)
        if tick is None:
            return None
        if not outcome(self._broker, schedule, standing).lasts:
            claimed = self._store.change(schedule.name, lambda present: _claimed(present, tick))
            return tick if claimed else None
        if schedule.overlap == "skip":
            self._store.change(schedule.name, lambda present: _passed_over(present, tick))
        return None

    def _begin(self, due: Due, ledger: Ledger) -> None:
        with Place(ledger, self._display) as place:
            standing = self._store.standing(due.schedule.name)
            if standing is None or standing.firing != due.tick:
                return
            request = at_tick(*due).model_copy(update={"where": Where(broker=self._broker.url)})
            record = recorded(request) or begin(request, self._display)
            place.keep()
            ledger.open(record)

    def _note(self, due: Due, *, error: str = "") -> None:
        def fired(standing: Standing) -> Standing | None:
            if standing.firing != due.tick:
                return None
            failures = failures_in_a_row(standing, outcome(self._broker, due.schedule, standing))
            last = {"run": due.run, "tick": due.tick, "error": error, "failures": failures, "skipped": 0}
            return standing.without(due.tick).model_copy(update=last)

        if self._store.change(due.schedule.name, fired):
            self._tell(due.schedule.name, f"began no run: {error}" if error else f"began run {due.run}")

    def _tell(self, name: str, text: str) -> None:
        """Say it, unless it is what was said last of this schedule."""
        if self._told.get(name) != text:
            self._told[name] = text
            self._display.say(f"schedule {name}: {text}")


def _claimed(standing: Standing, tick: int) -> Standing | None:
    if standing.firing is not None or not standing.lacks(tick):
        return None
    return standing.model_copy(update={"firing": tick})


def _passed_over(standing: Standing, tick: int) -> Standing | None:
    if standing.firing is not None or not standing.lacks(tick):
        return None
    return standing.without(tick).model_copy(update={"skipped": standing.skipped + 1})
