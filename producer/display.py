"""Shows a run while it lasts: a live line on a terminal, a plain line now and then in a log. Writes to stderr."""

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from producer.progress import View

#: A log gets a line this often: enough to follow, few enough to read.
LINE_SECONDS = 10.0


class Display(Protocol):
    """What a run tells while it lasts."""

    def show(self, view: View) -> None:
        """The counters at this moment."""

    def say(self, text: str) -> None:
        """Something happened that a person should know."""

    def close(self) -> None:
        """Nothing more will be shown."""


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = -LINE_SECONDS

    def show(self, view: View) -> None:
        """Print a line if the last one is old enough."""
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            self.say(line(view))

    def say(self, text: str) -> None:
        """Print a line now."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to tidy."""


class LiveLine:
    """A bar and the counters, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def show(self, view: View) -> None:
        """Redraw."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=max(view.rows_total, 1), completed=view.rows, width=40), Text(line(view)))
        self._live.update(grid)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


class Silent:
    """Shows nothing: for programs."""

    def show(self, view: View) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def open_display(console: Console) -> Display:
    """The display that suits where stderr goes."""
    return LiveLine(console) if console.is_terminal else Lines(console)


def line(view: View) -> str:
    """One line of everything: progress, rates, time left, queue, workers, failures."""
    share = 100 * view.rows / max(view.rows_total, 1)
    eta = "ETA --" if view.eta_seconds is None else f"ETA {duration(view.eta_seconds)}"
    parts = [
        f"{view.rows:,}/{view.rows_total:,} rows ({share:.0f}%)",
        f"{view.rows_per_second:,.0f} rows/s",
        f"{view.tokens_per_second:,.0f} tokens/s",
        eta,
        f"{view.queued} queued, {view.in_flight} in flight",
        f"{view.workers} worker{'' if view.workers == 1 else 's'}" if view.workers else "no worker yet",
    ]
    if view.failed:
        parts.append(f"{view.failed:,} failed rows")
    if view.dead_jobs:
        parts.append(f"{view.dead_jobs} dead jobs")
    if view.state != "running":
        parts.insert(0, view.state)
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """12s, 3m05s, 2h10m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def short(number: float) -> str:
    """1,250 as 1.25k, where there is little room."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
