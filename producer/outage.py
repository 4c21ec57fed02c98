"""A Redis that is away, takes nothing, or loses jobs, and a bucket that is away: waited for, up to a point.

Knows no job. What a server promised when a run began is looked at again when it was away, and every few seconds: a
short absence is noticed by nobody.
"""

import time

from producer.broker import OUTAGE, Broker, Unsafe
from producer.display import Display
from producer.queue import QueueUnreachable
from schemas.errors import BrokerError, BucketAway

#: How long a Redis may be of no use before the run is given up (it can be resumed).
_PATIENCE_SECONDS = 120.0
#: How often its settings are looked at while it answers.
_CHECK_SECONDS = 5.0

WORTH_WAITING = (*OUTAGE, QueueUnreachable, Unsafe, BucketAway)


class Outage:
    """Whether one lasts now, since when, and what was said of it."""

    def __init__(self, broker: Broker, display: Display, *, run: str) -> None:
        self._broker = broker
        self._display = display
        self._run = run
        self._since: float | None = None
        self._said = ""
        self._checked = time.monotonic()

    def check(self) -> None:
        """Raise `Unsafe` where a server that was away, or was not asked for a while, is set up to lose jobs."""
        now = time.monotonic()
        if self._since is not None or now - self._checked > _CHECK_SECONDS:
            self._broker.check()
            self._checked = now

    def lasts(self, error: Exception) -> None:
        """Say so once, and raise `BrokerError`, or that of the bucket, when it has lasted for too long."""
        now = time.monotonic()
        self._since = self._since or now
        ours = isinstance(error, Unsafe | BucketAway)
        said = f"{error}" if ours else "Redis does not answer, or takes nothing"
        if said != self._said:
            self._said = said
            self._display.say(f"{said if ours else f'{said} ({error})'}; waiting for it")
        if now - self._since > _PATIENCE_SECONDS:
            if isinstance(error, BucketAway):
                raise error
            raise BrokerError(
                f"{said.splitlines()[0]}, for {_PATIENCE_SECONDS:.0f} s; nothing that was embedded is lost",
                way_out=f"when it is mended: vecmill resume {self._run}",
            ) from error

    def ends(self) -> None:
        """It is of use again."""
        self._since, self._said = None, ""
