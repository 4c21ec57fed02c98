"""What happened when: the receipts of a run, spread over its time. Knows no page.

A receipt says when its job was claimed and when its part was durable, and how long each stage took, but not when:
so what a job did is spread evenly over its time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.receipt import Receipt, StageSeconds

STAGES = (*StageSeconds.model_fields, "waiting")
_MOST_STEPS = 72

Series = npt.NDArray[np.float64]


class Timeline(NamedTuple):
    """One number per step of `step` seconds from `start` on.

    `tokens` and `rows` are per second; `stages` say how many jobs at once were in each stage, or were waiting (for the
    model, for the device, for other jobs).
    """

    start: float
    step: float
    tokens: Series
    rows: Series
    stages: dict[str, Series]


def timeline(receipts: Sequence[Receipt]) -> Timeline | None:
    """None where no job is done."""
    if not receipts:
        return None
    start = min(receipt.claimed_at for receipt in receipts)
    length = max(max(receipt.durable_at for receipt in receipts) - start, 1e-3)
    steps = max(1, min(_MOST_STEPS, 2 * len(receipts)))
    edges = np.linspace(0.0, length, steps + 1)
    sums = {name: np.zeros(steps) for name in ("tokens", "rows", *STAGES)}
    for receipt in receipts:
        share, place = _shares(receipt.claimed_at - start, receipt.durable_at - start, edges)
        for name, amount in _amounts(receipt).items():
            sums[name][place] += amount * share
    step = length / steps
    return Timeline(
        start=start,
        step=step,
        tokens=sums["tokens"] / step,
        rows=sums["rows"] / step,
        stages={name: sums[name] / step for name in STAGES},
    )


def _shares(begin: float, end: float, edges: Series) -> tuple[Series, slice]:
    """How much of a stretch of time lies in each step that it touches."""
    first = min(max(0, int(np.searchsorted(edges, begin, side="right")) - 1), len(edges) - 2)
    last = max(first + 1, int(np.searchsorted(edges, end, side="left")))
    lows, highs = edges[first:last], edges[first + 1 : last + 1]
    inside = np.clip(np.minimum(highs, end) - np.maximum(lows, begin), 0.0, None)
    total = inside.sum()
    return (inside / total if total > 0 else np.eye(1, len(inside))[0]), slice(first, first + len(inside))


def _amounts(receipt: Receipt) -> dict[str, float]:
    seconds = receipt.seconds.model_dump()
    waited = receipt.durable_at - receipt.claimed_at - sum(seconds.values())
    return {"tokens": receipt.tokens, "rows": receipt.rows, **seconds, "waiting": max(waited, 0.0)}
