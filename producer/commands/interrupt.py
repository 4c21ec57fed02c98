"""Ctrl-C: the first ends the work in order, the second ends this process at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: What shells say of a process that a Ctrl-C ended.
INTERRUPTED = 130


@contextmanager
def at_once_when_repeated(last_words: Callable[[], None]) -> Iterator[None]:
    """Inside, the first Ctrl-C is a `KeyboardInterrupt`; at the second there are only the last words.

    What this process started is not waited for: its guardians see that it is gone. In the main thread only.
    """
    interrupted = False

    def handle(*_: Any) -> None:
        nonlocal interrupted
        if interrupted:
            last_words()
            os._exit(INTERRUPTED)
        interrupted = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
