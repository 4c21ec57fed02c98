"""From hidden states of tokens to one vector per text: pure functions, one per mode.

Texts lie end to end, so there is no padding to mask. All sums are in float32, whatever the states are in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.features import Features
from worker.engine.tokens import Offsets, runs_of


@dataclass(frozen=True, slots=True)
class Segments:
    """Which tokens of each text count: from `first` up to `end`; `start` is where the text itself begins.

    `weights`: what sums are divided by in place of counts, where words have weights.
    """

    start: Offsets
    first: Offsets
    end: Offsets
    weights: Tensor | None = None

    @classmethod
    def of(cls, offsets: Offsets, prompt_length: int = 0, weights: Tensor | None = None) -> "Segments":
        """The texts between `offsets`, without the tokens of a prompt that does not count."""
        start, end = offsets[:-1], offsets[1:]
        return cls(start=start, first=np.minimum(start + prompt_length, end), end=end, weights=weights)


def _cls(hidden: Tensor, segments: Segments) -> Tensor:
    # A text that is prompt and nothing else has no token that counts: its first one stands for it.
    first = np.where(segments.first < segments.end, segments.first, segments.start)
    return _rows_of(hidden, first)


def _lasttoken(hidden: Tensor, segments: Segments) -> Tensor:
    empty = torch.from_numpy(segments.first >= segments.end).to(hidden.device)
    return _rows_of(hidden, segments.end - 1).masked_fill(empty[:, None], 0.0)


def _max(hidden: Tensor, segments: Segments) -> Tensor:
    def reduce(states: Tensor, _places: Tensor) -> Tensor:
        return states.amax(1).float() if states.shape[1] else states.new_full(states.shape[::2], -torch.inf).float()

    return _by_run(hidden, segments, reduce)


def _sum(hidden: Tensor, segments: Segments) -> Tensor:
    return _by_run(hidden, segments, lambda states, _places: states.sum(1, dtype=torch.float32))


def _mean(hidden: Tensor, segments: Segments) -> Tensor:
    return _sum(hidden, segments).div_(_counts(hidden, segments))


def _mean_sqrt_len(hidden: Tensor, segments: Segments) -> Tensor:
    return _sum(hidden, segments).div_(_counts(hidden, segments).sqrt_())


def _weightedmean(hidden: Tensor, segments: Segments) -> Tensor:
    def reduce(states: Tensor, places: Tensor) -> Tensor:
        weights = places if segments.weights is not None else places / places.sum().clamp(min=1e-9)
        return torch.einsum("ntd,t->nd", states.float(), weights)

    pooled = _by_run(hidden, segments, reduce)
    return pooled if segments.weights is None else pooled / _counts(hidden, segments)


#: The modes of a Pooling module, by their names in its configuration.
POOLERS: dict[str, Callable[[Tensor, Segments], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weightedmean,
    "lasttoken": _lasttoken,
}


def pool(features: Features, config: dict[str, Any]) -> Tensor:
    """[tokens, width] to [texts, modes x width], float32, as the Pooling module with this `config` does."""
    hidden = features.states
    prompt_length = 0 if config["include_prompt"] else features.prompt_length
    segments = Segments.of(features.offsets, prompt_length, features.weights)
    pooled = [POOLERS[mode](hidden, segments) for mode in config["modes"]]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)


def _by_run(hidden: Tensor, segments: Segments, reduce: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
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


def _counts(hidden: Tensor, segments: Segments) -> Tensor:
    if segments.weights is not None:
        return segments.weights.clamp(min=1e-9)[:, None]
    counts = torch.from_numpy((segments.end - segments.first).astype(np.float32)).to(hidden.device)
    return counts.clamp_(min=1e-9)[:, None]


def _rows_of(hidden: Tensor, places: Offsets) -> Tensor:
    # A text without a token points outside; what it gets instead does not count.
    inside = np.clip(places, 0, max(len(hidden) - 1, 0))
    if not len(hidden):
        return hidden.new_zeros((len(places), hidden.shape[1])).float()
    return hidden[torch.from_numpy(inside).to(hidden.device)].float()
