"""When a cron expression ticks, in its time zone. Knows no schedule and no clock of its own.

Daylight saving as in Debian's cron: what names an hour ticks once when that hour is left out (right after the gap) and
once when it comes twice (the first time); what ticks in every hour does so by the hours that pass.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas.errors import UsageError

_FIELDS = 5
#: The latest tick is looked for in so many seconds before now, then in more: minutely ticks of a year are many.
_SPANS = (3_600, 86_400, 32 * 86_400)


class Cron:
    """The ticks of a five-field expression, as seconds since 1970; raises `UsageError` where it has none."""

    def __init__(self, expression: str, timezone: str) -> None:
        self._expression = expression
        self._zone = _zone(timezone)
        _check(expression)

    def after(self, moment: float) -> int:
        """The first tick after a moment."""
        return next(self._ticks(moment))

    def latest(self, after: float, until: float) -> int | None:
        """The last tick after one moment and not after another; None where there is none."""
        if self.after(after) > until:
            return None
        for span in _SPANS:
            found = self._last(max(after, until - span), until)
            if found is not None:
                return found
        return self._last(after, until)

    def _last(self, after: float, until: float) -> int | None:
        last = None
        for tick in takewhile(lambda tick: tick <= until, self._ticks(after)):
            last = tick
        return last

    def _ticks(self, after: float) -> Iterator[int]:
        start = datetime.fromtimestamp(after, UTC).astimezone(self._zone)
        for tick in CronSim(self._expression, start):
            # Begun in an hour that comes twice, the first of its ticks may be those of the hour's first coming.
            if tick.timestamp() > after:
                after = int(tick.timestamp())
                yield after


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise UsageError(
            f"this machine knows no time zone {name!r}",
            way_out="a name like Europe/Berlin or UTC; where none is known, install tzdata",
        ) from error


def _check(expression: str) -> None:
    way_out = "five fields: minute, hour, day of the month, month, day of the week; 0 3 * * * is 3:00 every day"
    if len(expression.split()) != _FIELDS:
        raise UsageError(f"{expression!r} is no cron expression of five fields", way_out=way_out)
    try:
        if next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)), None) is None:
            raise UsageError(f"{expression!r} never comes in the next 50 years", way_out=way_out)
    except CronSimError as error:
        raise UsageError(f"{expression!r} is no cron expression: {error}", way_out=way_out) from error
