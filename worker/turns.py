"""Who may be at work in this process at once: jobs together, or one suspect job alone. Knows no job's content."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets jobs run together until one of them has to be alone: then new ones wait, and it waits for the others."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._waiting = 0
        self._alone = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be one of several; enters when nobody is alone or waits to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._together += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside `together`: be the only one for the length of the block."""
        with self._changed:
            self._waiting += 1
        self._leave()
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._together)
            self._waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._together += 1
                self._changed.notify_all()

    def _leave(self) -> None:
        with self._changed:
            self._together -= 1
            self._changed.notify_all()
