"""One picture of a Redis for a terminal: its runs, its workers, its queue. Keeps only what rates are made of."""

from collections import defaultdict
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from producer.display import duration, short
from producer.moment import Moment, RunMoment
from producer.progress import Rates, Speed
from schemas.ledger import Heartbeat

#: Of runs that have ended, so many are shown; `vecmill status` lists all.
_ENDED_SHOWN = 5
#: From so many columns on there is room for a bar and for all digits.
_WIDE = 120
_NUMBERS = ("done", "rows", "rows/s", "tokens/s", "left", "jobs")
_STYLES = {"running": "bold green", "paused": "bold yellow", "failed": "bold red", "committed": "blue"}


class Frame:
    """Draws moment after moment; `where` is the Redis without its password."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._rates: dict[str, Rates] = {}
        self._speeds: defaultdict[str, Speed] = defaultdict(Speed)

    def draw(self, moment: Moment, *, width: int, away_seconds: float | None = None) -> RenderableType:
        """Everything, for so many columns; with `away_seconds`, Redis has been away and this is what it said last."""
        parts: list[RenderableType] = [self._head(moment)]
        if away_seconds is not None:
            parts.append(Text(f"Redis has not answered for {duration(away_seconds)}; this is what it said last",
                              style="bold red"))  # fmt: skip
        parts += [Text(), *self._runs(moment, wide=width >= _WIDE), Text(), self._workers(moment.workers)]
        return Group(*parts, Text("\nCtrl-C ends this view, not the runs", style="dim"))

    def _head(self, moment: Moment) -> Text:
        count = len(moment.workers)
        head = Text(self._where, style="bold")
        head.append(f"   {moment.queued:,} queued, {moment.unacknowledged:,} in hand", style="default")
        head.append(f"   {count} worker{'' if count == 1 else 's'}", style="default" if count else "bold red")
        if moment.malformed:
            head.append(f"   {moment.malformed:,} malformed put aside", style="yellow")
        return head

    def _runs(self, moment: Moment, *, wide: bool) -> Iterator[RenderableType]:
        ended = [run for run in moment.runs if not run.open]
        shown = [run for run in moment.runs if run.open] + list(reversed(ended))[:_ENDED_SHOWN]
        if not shown:
            yield Text("no runs", style="dim")
            return
        table = _table("run", "state", *([""] if wide else []), *(f">{name}" for name in _NUMBERS), gap=1 + wide)
        for run in shown:
            table.add_row(*self._run(run, moment, wide=wide))
        yield table
        if len(ended) > _ENDED_SHOWN:
            yield Text(f"and {len(ended) - _ENDED_SHOWN} more that have ended", style="dim")
        for run in shown:
            yield from (Text(f"{run.record.run}: {note}", style="red") for note in _notes(run))

    def _run(self, run: RunMoment, moment: Moment, *, wide: bool) -> Iterator[RenderableType]:
        name, state = run.record.run, run.progress.state
        rates = self._rates.setdefault(name, Rates(run.rows))
        view = rates.view(run.progress, queued=moment.queued, workers=len(moment.workers))
        number = "{:,}".format if wide else short
        yield Text(name)
        yield Text(state, style=_STYLES.get(state, ""))
        if wide:
            yield ProgressBar(total=max(run.rows, 1), completed=run.rows_done, width=20)
        yield Text(f"{100 * run.rows_done / max(run.rows, 1):.0f}%")
        yield Text(f"{number(run.rows_done)}/{number(run.rows)}")
        speeds = (short(view.rows_per_second), short(view.tokens_per_second))
        left = "" if view.eta_seconds is None else duration(view.eta_seconds)
        yield from (Text(text if state == "running" else "") for text in (*speeds, left))
        yield Text(f"{run.leased}" if run.open else "")

    def _workers(self, workers: tuple[Heartbeat, ...]) -> RenderableType:
        if not workers:
            return Text("no worker gives a sign of life: vecmill worker --broker ...", style="bold red")
        table = _table("worker", "device", *(f">{name}" for name in ("jobs", "rows/s", "tokens/s")), "models", gap=2)
        for beat in workers:
            rows, tokens = self._speeds[beat.worker].now(beat.at, beat.rows, beat.tokens)
            numbers = (f"{beat.in_flight}", short(rows), short(tokens))
            models = ", ".join(model.rstrip("/").rpartition("/")[2] for model in beat.models)
            table.add_row(beat.worker, beat.device, *numbers, Text(models or "none yet"))
        return table


def _notes(run: RunMoment) -> Iterator[str]:
    if run.failed:
        yield f"{run.failed:,} failed rows"
    if run.jobs_dead:
        yield f"{run.jobs_dead} dead jobs"
    if run.progress.state == "running" and not run.driven:
        yield f"no process drives it: vecmill resume {run.record.run}"
    if run.progress.reason:
        yield run.progress.reason


def _table(*columns: str, gap: int) -> Table:
    """Columns with these names, so far apart; `>` before one puts it to the right."""
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        right = name.startswith(">")
        table.add_column(name.removeprefix(">"), justify="right" if right else "left", no_wrap=name != "models")
    return table
