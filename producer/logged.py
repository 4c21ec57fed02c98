"""Shows a run as log records, for a service that nobody looks at. Keeps no counters."""

import logging
import time

from producer.display import LINE_SECONDS, line
from producer.progress import View

log = logging.getLogger(__name__)


class Logged:
    """A display whose lines are records: `run_progress` now and then, `run_said` when something happened.

    Where `run` is None it is the service that speaks, and `schedule_said` is what its schedules say.
    """

    def __init__(self, run: str | None = None) -> None:
        self._of_run = {} if run is None else {"run": run}
        self._said = "schedule_said" if run is None else "run_said"
        self._last = -LINE_SECONDS

    def show(self, view: View) -> None:
        """A record with all counters, if the last one is old enough."""
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            counters = view.model_dump()
            log.info(line(view), extra={"action": "run_progress", "progress": counters, **self._of_run})

    def say(self, text: str) -> None:
        """A record now."""
        log.info(text, extra={"action": self._said, **self._of_run})

    def close(self) -> None:
        """Nothing to tidy."""
