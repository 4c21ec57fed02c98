"""Waiting for an event, however slow the machine; knows no torch."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(what: Callable[[], object], *, seconds: float = 150, log: Path | None = None) -> None:
    """Wait for a condition; fail with a log when time is up."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited in vain:\n{log.read_text() if log is not None else ''}"
        time.sleep(0.02)
