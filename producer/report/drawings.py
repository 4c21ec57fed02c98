"""The charts of a report: a story's numbers as shapes, ticks and words. Knows no HTML."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from producer.display import duration, short
from producer.report.charts import Chart, Shape, Tick, bars, stacked, strips, ticks
from producer.report.lengths import Lengths
from producer.report.timeline import STAGES, Timeline
from schemas.receipt import FILLS, Receipt

_MOST_BARS = 48
#: Which colour each stage has; what waits is grey.
STAGE_COLOURS = dict(zip(STAGES, ("c4", "c0", "c2", "c7"), strict=True))


def throughput(line: Timeline) -> Chart:
    """Tokens per second over time."""
    top, y_ticks = ticks(float(line.tokens.max()))
    tips = [
        f"{_when(line, at)}: {tokens:,.0f} tokens/s, {rows:,.0f} rows/s"
        for at, (tokens, rows) in enumerate(zip(line.tokens, line.rows, strict=True))
    ]
    shapes = (Shape("c0", stacked([line.tokens.tolist()], top)[0]),)
    return Chart(shapes, strips(tips), _time_ticks(line), y_ticks)


def stages(line: Timeline) -> Chart:
    """How many jobs at once were in which stage."""
    together = sum(line.stages.values(), np.zeros_like(line.tokens))
    top, y_ticks = ticks(float(together.max()))
    tips = [
        f"{_when(line, at)}: " + ", ".join(f"{line.stages[name][at]:.1f} {name}" for name in STAGES)
        for at in range(len(line.tokens))
    ]
    paths = stacked([line.stages[name].tolist() for name in STAGES], top)
    shapes = tuple(Shape(STAGE_COLOURS[name], path) for name, path in zip(STAGES, paths, strict=True))
    legend = tuple((STAGE_COLOURS[name], name) for name in STAGES)
    return Chart(shapes, strips(tips), _time_ticks(line), y_ticks, legend=legend)


def batches(receipts: Sequence[Receipt]) -> Chart | None:
    """How full the batches were; None where no receipt tells."""
    fills: Counter[int] = Counter()
    for receipt in receipts:
        fills.update(receipt.batch_fill)
    if not fills:
        return None
    counts = [fills[at] for at in range(FILLS)]
    # What is exactly full stands with what is nearly so.
    counts[-1] += fills[FILLS]
    top, y_ticks = ticks(float(max(counts)), whole=True)
    size, total = 100 // FILLS, sum(counts)
    tips = [
        f"{at * size}% to {at * size + size}% full: {count:,} batches ({count / total:.1%})"
        for at, count in enumerate(counts)
    ]
    x_ticks = tuple(Tick(at, f"{at:.0f}%") for at in (0, 25, 50, 75, 100))
    return Chart((Shape("c2", bars(counts, top, gap=0.15)),), strips(tips), x_ticks, y_ticks)


def lengths(found: Lengths, limit: int | None) -> Chart:
    """How many rows have how many tokens, and where texts are cut."""
    longest = max(len(found.counts) - 1, limit or 1)
    # A bar more than the axis needs, so that what lies on the limit has a bar of its own.
    step = max(1, -(-longest // _MOST_BARS))
    shown = np.zeros(step * (longest // step + 1), np.int64)
    shown[: len(found.counts)] = found.counts
    sums = shown.reshape(-1, step).sum(axis=1)
    top, y_ticks = ticks(float(sums.max()), whole=True)
    tips = [
        f"{at * step} to {at * step + step - 1} tokens: {count:,} rows ({count / max(found.rows, 1):.1%})"
        for at, count in enumerate(sums.tolist())
    ]
    end = len(shown)
    x_ticks = tuple(Tick(100 * float(value) / end, short(value)) for value in _round_numbers(end))
    line = None if limit is None else Tick(100 * min(limit + 0.5, end) / end, f"cut at {limit:,}")
    shapes = (Shape("c0", bars(sums.tolist(), top, gap=0.12)),)
    return Chart(shapes, strips(tips), x_ticks, y_ticks, line=line)


def _round_numbers(end: int) -> list[float]:
    top, found = ticks(float(end), whole=True)
    return [top * tick.at / 100 for tick in found if top * tick.at / 100 <= end * 0.97]


def _time_ticks(line: Timeline) -> tuple[Tick, ...]:
    seconds = line.step * len(line.tokens)
    return tuple(Tick(at, duration(seconds * at / 100)) for at in (0, 25, 50, 75, 100))


def _when(line: Timeline, at: int) -> str:
    return f"{duration(line.step * at)} to {duration(line.step * (at + 1))}"
