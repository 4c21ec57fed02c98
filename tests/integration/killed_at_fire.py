"""A service that is killed while it fires: `python -m tests.integration.killed_at_fire URL NOW MOMENT`.

It looks once, by a clock that says NOW, and dies by kill -9 when it comes to call MOMENT.
"""

import os
import signal
import sys
from typing import Any

from producer.broker import Broker
from producer.display import Silent
from producer.ledger import Ledger
from producer.schedule import Scheduler, fire


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, now: str, moment: str) -> None:
    scheduler = Scheduler(Broker(url), Silent(), clock=lambda: float(now))
    if moment == "begin":
        fire.begin = die
    elif moment == "open":
        Ledger.open = die
    else:
        Scheduler._note = die
    for due in scheduler.due():
        scheduler.fire(due)


if __name__ == "__main__":
    main(*sys.argv[1:])
