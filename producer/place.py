"""The place of a run's producer, which one process has at a time: taken, kept while the work lasts, left.

Knows no job. A process that dies leaves nothing behind: its place is free some seconds after its last sign of life.
"""

import os
import socket
import threading
import time
import uuid
from types import TracebackType
from typing import Self

from producer.broker import OUTAGE
from producer.display import Display
from producer.ledger import PRODUCER_SECONDS, Ledger
from schemas.errors import RunTaken


class Place:
    """With it, a run is ours; a thread says so while we read a long source or commit. Raises `RunTaken`."""

    def __init__(self, ledger: Ledger, display: Display) -> None:
        self._ledger = ledger
        self._display = display
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._left = threading.Event()
        self._beat = threading.Thread(target=self._say_so, name=f"place of {ledger.run}", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._beat.join()
        try:
            self._ledger.release(self._name)
        except OUTAGE:
            self._display.say("Redis does not answer; the producer's place frees itself")

    def keep(self) -> None:
        """Stay the run's producer; raises `RunTaken` where another process is."""
        holder = self._ledger.hold(self._name)
        if holder != self._name:
            raise RunTaken(f"another process ({holder}) took over run {self._ledger.run}")

    def _take(self) -> None:
        deadline = time.monotonic() + PRODUCER_SECONDS + 1
        told = False
        while (holder := self._ledger.hold(self._name)) != self._name:
            if time.monotonic() > deadline:
                raise RunTaken(
                    f"run {self._ledger.run} is being driven by another process ({holder})",
                    way_out=f"vecmill status {self._ledger.run} shows how far it is",
                )
            if not told:
                self._display.say(f"another process ({holder}) drives this run; waiting to see whether it still lives")
                told = True
            self._left.wait(1)

    def _say_so(self) -> None:
        while not self._left.wait(PRODUCER_SECONDS / 3):
            try:
                self.keep()
            except OUTAGE:
                continue  # Whoever works for the run sees it, too, and waits.
            except RunTaken:
                return  # The next `keep` of who works for the run says so.
