"""Numbers to shapes in a square of 100 x 100 that a page stretches; labels stay text of the page, so they never shrink.

Knows no table and no HTML.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from producer.display import short

_WANTED_TICKS = 4


class Tick(NamedTuple):
    """A label and where it is, in hundredths of the axis."""

    at: float
    label: str


class Shape(NamedTuple):
    """A filled outline in a colour of the page, `c0` to `c7`."""

    colour: str
    path: str


class Hover(NamedTuple):
    """A strip of the chart, and what is said of it."""

    x: float
    width: float
    tip: str


class Chart(NamedTuple):
    """Everything that is drawn; `line` is a place on the x axis that is marked, `legend` colours and their names."""

    shapes: tuple[Shape, ...]
    hovers: tuple[Hover, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: Tick | None = None
    legend: tuple[tuple[str, str], ...] = ()


def ticks(top: float, *, whole: bool = False) -> tuple[float, tuple[Tick, ...]]:
    """Round numbers from 0 to a bit above `top`: where the axis ends, and what is written beside it.

    `whole` is for what is counted: no number between two of them.
    """
    step = _round_step(max(top, 1e-9) / _WANTED_TICKS)
    step = math.ceil(step) if whole else step
    count = max(1, math.ceil(top / step - 1e-9))
    return step * count, tuple(Tick(100 * at / count, short(step * at)) for at in range(count + 1))


def stacked(series: Sequence[Sequence[float]], top: float) -> list[str]:
    """A path for each of some series of equally long steps, each standing on those before it."""
    count = len(series[0])
    paths, floor = [], [0.0] * count
    for one in series:
        roof = [low + value for low, value in zip(floor, one, strict=True)]
        paths.append(_outline(floor, roof, top))
        floor = roof
    return paths


def bars(values: Sequence[float], top: float, *, gap: float) -> str:
    """One path of bars, side by side, with so much of each step left free between them."""
    width = 100 / len(values)
    parts = []
    for at, value in enumerate(values):
        if value > 0:
            left, height = width * (at + gap / 2), max(100 * value / top, 0.4)
            parts.append(f"M{left:.3f} 100v{-height:.3f}h{width * (1 - gap):.3f}v{height:.3f}z")
    return "".join(parts)


def strips(tips: Sequence[str]) -> tuple[Hover, ...]:
    """What is said of each step."""
    width = 100 / max(len(tips), 1)
    return tuple(Hover(round(width * at, 3), round(width, 3), tip) for at, tip in enumerate(tips))


def _outline(floor: list[float], roof: list[float], top: float) -> str:
    """Steps along the roof, and back along the floor."""
    width = 100 / len(roof)
    there = _stairs(roof, top, range(len(roof)), width)
    back = _stairs(floor, top, range(len(floor) - 1, -1, -1), width, forward=False)
    return f"M{there}L{back}z"


def _stairs(values: list[float], top: float, order: Iterable[int], width: float, *, forward: bool = True) -> str:
    points = []
    for at in order:
        ends = (at, at + 1) if forward else (at + 1, at)
        points += [f"{width * end:.3f} {100 - 100 * values[at] / top:.3f}" for end in ends]
    return "L".join(points)


def _round_step(least: float) -> float:
    size = 10.0 ** math.floor(math.log10(least))
    return next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= least - 1e-12)
