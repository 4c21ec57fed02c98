"""From hidden states of tokens to one vector per text: pure functions, one per mode.

Texts lie end to end, so there is no padding to mask. All sums are in float32, whatever the states are in.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.features import Features
from worker.engine.reduce import Segments, greatest, sums, weighted
from worker.engine.streams import put
from worker.engine.tokens import Offsets


def _cls(hidden: Tensor, segments: Segments) -> Tensor:
    # A text that is prompt and nothing else has no token that counts: its first one stands for it.
    first = np.where(segments.first < segments.end, segments.first, segments.start)
    return _rows_of(hidden, first)


def _lasttoken(hidden: Tensor, segments: Segments) -> Tensor:
    empty = put(segments.first >= segments.end, hidden.device)
    return _rows_of(hidden, segments.end - 1).masked_fill(empty[:, None], 0.0)


def _mean(hidden: Tensor, segments: Segments) -> Tensor:
    return sums(hidden, segments).div_(_counts(hidden, segments))


def _mean_sqrt_len(hidden: Tensor, segments: Segments) -> Tensor:
    return sums(hidden, segments).div_(_counts(hidden, segments).sqrt_())


def _weightedmean(hidden: Tensor, segments: Segments) -> Tensor:
    pooled = weighted(hidden, segments)
    return pooled if segments.weights is None else pooled / _counts(hidden, segments)


#: The modes of a Pooling module, by their names in its configuration.
POOLERS: dict[str, Callable[[Tensor, Segments], Tensor]] = {
    "cls": _cls,
    "max": greatest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weightedmean,
    "lasttoken": _lasttoken,
}


def pool(features: Features, config: dict[str, Any]) -> Tensor:
    """[tokens, width] to [texts, modes x width], float32, as the Pooling module with this `config` does."""
    hidden = features.states
    prompt_length = 0 if config["include_prompt"] else features.prompt_length
    segments = Segments.of(features.offsets, prompt_length, features.weights, at_once=features.at_once)
    pooled = [POOLERS[mode](hidden, segments) for mode in config["modes"]]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)


def _counts(hidden: Tensor, segments: Segments) -> Tensor:
    if segments.weights is not None:
        return segments.weights.clamp(min=1e-9)[:, None]
    counts = np.maximum(segments.end - segments.first, 1e-9).astype(np.float32)
    return put(counts, hidden.device)[:, None]


def _rows_of(hidden: Tensor, places: Offsets) -> Tensor:
    # A text without a token points outside; what it gets instead does not count.
    inside = np.clip(places, 0, max(len(hidden) - 1, 0))
    if not len(hidden):
        return hidden.new_zeros((len(places), hidden.shape[1])).float()
    return hidden[put(inside, hidden.device)].float()
