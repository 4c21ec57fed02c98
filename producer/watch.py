"""Watching, on and on: a live picture on a terminal, plain lines elsewhere. Survives a Redis that is away."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import redis
from rich.console import Console
from rich.live import Live

from producer.broker import OUTAGE
from producer.display import LINE_SECONDS
from producer.frame import Frame
from producer.moment import OPEN_STATES, Moment, look
from producer.status import RunStatus
from schemas.errors import BrokerError

Look = Callable[[], Sequence[RunStatus]]

_LOOK_SECONDS = 2.0
#: States that a run is shown in while it may still go on; those of tables without a broker included.
_LASTING = (*OPEN_STATES, "not committed")
_NOTHING = Moment((), (), 0, 0, 0)


def watch_live(client: redis.Redis, console: Console, *, where: str, run: str | None) -> None:
    """A picture that is drawn again and again: of one run until it ends, of all until the caller is interrupted."""
    frame, moment, pause = Frame(where), _NOTHING, threading.Event()
    answered = time.monotonic()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            try:
                moment = _only(look(client), run)
                answered = time.monotonic()
                live.update(frame.draw(moment, width=console.width), refresh=True)
            except OUTAGE:
                away = time.monotonic() - answered
                live.update(frame.draw(moment, width=console.width, away_seconds=away), refresh=True)
            else:
                if run is not None and not any(one.open for one in moment.runs):
                    return
            pause.wait(_LOOK_SECONDS)


def watch_lines(look_again: Look, write: Callable[[Sequence[RunStatus]], None], *, forever: bool) -> None:
    """What is so, whenever it has changed and now and then; until nothing lasts any more, or `forever`."""
    found, pause = look_again(), threading.Event()
    last: Sequence[RunStatus] | None = None
    written = 0.0
    while True:
        if found != last or time.monotonic() - written >= LINE_SECONDS:
            write(found)
            last, written = found, time.monotonic()
        if not forever and all(one.state not in _LASTING for one in found):
            return
        pause.wait(_LOOK_SECONDS)
        with suppress(*OUTAGE, BrokerError):
            found = look_again()


def _only(moment: Moment, run: str | None) -> Moment:
    if run is None:
        return moment
    return moment._replace(runs=tuple(one for one in moment.runs if one.record.run == run))
