"""From counters to what a person wants to know: rates, the time that is left, who is working."""

from collections import deque

from producer.ledger import Progress
from schemas.record import Record

#: Rates are taken over the last so many seconds: long enough to be calm, short enough to be true.
_WINDOW_SECONDS = 30.0


class View(Record):
    """One moment of a run, ready to be shown. `eta_seconds` is None while nothing is known."""

    state: str
    rows: int
    rows_total: int
    rows_per_second: float
    tokens_per_second: float
    eta_seconds: float | None
    queued: int
    in_flight: int
    jobs_done: int
    workers: int
    failed: int
    dead_jobs: int


class Speed:
    """Turns successive counts of rows and tokens into how many there were per second lately."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, int, int]] = deque()

    def now(self, at: float, rows: int, tokens: int) -> tuple[float, float]:
        """Rows and tokens per second beside the last half minute; `at` is in seconds."""
        self._past.append((at, rows, tokens))
        while len(self._past) > 2 and self._past[0][0] < at - _WINDOW_SECONDS:
            self._past.popleft()
        since, rows_then, tokens_then = self._past[0]
        seconds = max(at - since, 1e-9)
        return (rows - rows_then) / seconds, (tokens - tokens_then) / seconds


class Rates:
    """Turns successive `Progress` of one run into a `View`."""

    def __init__(self, rows_total: int) -> None:
        self._rows_total = rows_total
        self._speed = Speed()

    def view(self, progress: Progress, *, queued: int, workers: int) -> View:
        """What this moment looks like beside the last half minute."""
        rows = progress.counters["rows"] + progress.counters["failed"]
        rate, tokens_rate = self._speed.now(progress.at, rows, progress.counters["tokens"])
        return View(
            state=progress.state,
            rows=rows,
            rows_total=self._rows_total,
            rows_per_second=rate,
            tokens_per_second=tokens_rate,
            eta_seconds=max(self._rows_total - rows, 0) / rate if rate > 0 else None,
            queued=queued,
            in_flight=progress.leased,
            jobs_done=progress.done,
            workers=workers,
            failed=progress.counters["failed"],
            dead_jobs=progress.dead,
        )
