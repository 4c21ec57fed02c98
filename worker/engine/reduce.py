"""Sums and greatest values over the tokens of each text, which lie end to end: so there is no padding to mask.

Two ways that give the same. Run by run of equal lengths, which reads the states once and in their own number format;
and all texts at once by one kernel, in float32, where each call costs more than it computes: on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from worker.engine.streams import put
from worker.engine.tokens import Offsets, runs_of

#: From the states of a run, [texts, tokens, width], and the weight of each token to [texts, width].
_Reduce = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Segments:
    """Which tokens of each text count: from `first` up to `end`; `start` is where the text itself begins.

    `weights`: what sums are divided by in place of counts, where words have weights. `at_once`: which way.
    """

    start: Offsets
    first: Offsets
    end: Offsets
    weights: Tensor | None = None
    at_once: bool = False

    @classmethod
    def of(
        cls, offsets: Offsets, prompt_length: int = 0, weights: Tensor | None = None, *, at_once: bool = False
    ) -> "Segments":
        """The texts between `offsets`, without the tokens of a prompt that does not count."""
        start, end = offsets[:-1], offsets[1:]
        first = np.minimum(start + prompt_length, end)
        return cls(start=start, first=first, end=end, weights=weights, at_once=at_once)


def sums(hidden: Tensor, segments: Segments) -> Tensor:
    """float32 [texts, width]: the states that count, added up."""
    if segments.at_once:
        return _at_once(hidden.float(), segments, "sum")
    return _by_run(hidden, segments, lambda states, _places: states.sum(1, dtype=torch.float32))


def greatest(hidden: Tensor, segments: Segments) -> Tensor:
    """float32 [texts, width]: the greatest of each dimension; -inf where no token counts."""
    if segments.at_once:
        return _at_once(hidden.float(), segments, "max")

    def reduce(states: Tensor, _places: Tensor) -> Tensor:
        return states.amax(1).float() if states.shape[1] else states.new_full(states.shape[::2], -torch.inf).float()

    return _by_run(hidden, segments, reduce)


def weighted(hidden: Tensor, segments: Segments) -> Tensor:
    """float32 [texts, width]: each state times its place in the text, counted from 1; the mean, without `weights`."""
    if segments.at_once:
        return _at_once(hidden.float() * put(_places(segments), hidden.device)[:, None], segments, "sum")

    def reduce(states: Tensor, places: Tensor) -> Tensor:
        weights = places if segments.weights is not None else places / places.sum().clamp(min=1e-9)
        return torch.einsum("ntd,t->nd", states.float(), weights)

    return _by_run(hidden, segments, reduce)


def _at_once(states: Tensor, segments: Segments, how: Literal["sum", "max"]) -> Tensor:
    # Pieces by turns: what does not count of a text, then what does.
    bounds = np.append(np.column_stack((segments.start, segments.first)).ravel(), segments.end[-1:])
    # Unsafe: else the bounds would be looked at, which waits for the device.
    reduced: Any = torch.segment_reduce(states, how, offsets=put(bounds, states.device), unsafe=True)
    pieces: Tensor = reduced
    return pieces[1::2]


def _places(segments: Segments) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """The weight of every token by its place; without weights of words they sum to 1 over what counts."""
    lengths = segments.end - segments.start
    places = (np.arange(lengths.sum()) - np.repeat(segments.start - segments.start[:1], lengths) + 1).astype(np.float32)
    if segments.weights is not None:
        return places
    skipped = (segments.first - segments.start).astype(np.float64)
    total = lengths * (lengths + 1) / 2 - skipped * (skipped + 1) / 2
    shares: np.ndarray[Any, np.dtype[np.float32]] = np.repeat(np.maximum(total, 1e-9), lengths).astype(np.float32)
    return places / shares


def _by_run(hidden: Tensor, segments: Segments, reduce: _Reduce) -> Tensor:
    """Texts of equal length are neighbours: each run is reduced at once, as [texts, tokens, width].

    `reduce` gets the tokens that count and their places in the text, counted from 1.
    """
    pooled = hidden.new_empty((len(segments.start), hidden.shape[1]), dtype=torch.float32)
    offsets = np.append(segments.start, segments.end[-1:])
    row = 0
    for start, count, length in runs_of(offsets):
        skipped = int(segments.first[row] - segments.start[row])
        states = hidden[start : start + count * length].view(count, length, hidden.shape[1])[:, skipped:]
        places = torch.arange(skipped + 1, length + 1, dtype=torch.float32, device=hidden.device)
        pooled[row : row + count] = reduce(states, places)
        row += count
    return pooled
