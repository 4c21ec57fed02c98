"""Whole layers of an encoder, found by watching a trial, and made one call each: what lies between stays in the cache.

Knows no model by name: what flows from where to where is seen by where in memory tensors lie, and a layer is one only
where a single call then gives what the network's own module gave.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.attention import Layout, Places
from worker.engine.attention_watch import Attended, place_of, watched
from worker.engine.forward import Network
from worker.engine.kernel_linear import FeedForward, KernelLinear, NormedSum
from worker.engine.kernels import Encoder, EncoderParts, Kernels, Layer, Lookup, kernels
from worker.engine.kernels.calls import LONGEST
from worker.engine.layers import hooked
from worker.engine.swap import swapped
from worker.engine.tokens import runs_of
from worker.engine.trial import apart, sequences, tolerance, vocabulary_of

#: In integers, by how much a layer and the end of a network may differ: levels that are rounded to the other side.
_SAME, _SAME_AT_THE_END = 0.05, 0.3


class EncoderLayer(nn.Module):
    """A module of a network in one call; the module itself, where there is no packed row or a text is very long.

    `lookup` has query, key and value by the tokens' words and positions. `is_last`: where first tokens alone are asked
    for, it gives them, [1, texts, width].
    """

    is_last = False

    def __init__(self, plain: nn.Module, encoder: Encoder, own: Kernels, lookup: Lookup | None = None) -> None:
        super().__init__()
        self.plain, self.encoder, self.own, self.lookup = plain, encoder, own, lookup

    def forward(self, states: Tensor, *more: Any, packed_layout: Layout | None = None, **options: Any) -> Any:
        """[1, tokens, width] to the same; all else is for the module itself."""
        if packed_layout is None:
            return self.plain(states, *more, **options)
        if packed_layout.longest > LONGEST or kernels() is None:
            return self.plain(states, *more, packed_layout=packed_layout, **options)
        if packed_layout.first_only and self.is_last:
            return self.own.encode_first(self.encoder, states, packed_layout.places)[None]
        tokens = packed_layout.tokens
        found = self.lookup.of(*tokens) if self.lookup and tokens else None
        return self.own.encode(self.encoder, states, packed_layout.places, found)


@dataclass(frozen=True, slots=True)
class _Step:
    """What a part was given and what it gave; `part` is attention as it was seen, or a module."""

    part: Any
    given: Tensor
    gave: Tensor

    def between(self, given: Tensor, gave: Tensor) -> bool:
        """Whether it was given the one and gave the other."""
        return place_of(self.given) == place_of(given) and place_of(self.gave) == place_of(gave)


@dataclass
class _Seen:
    """What happened in a trial, in order; `around` are all modules, each behind what is in it."""

    steps: list[_Step] = field(default_factory=list)
    around: list[_Step] = field(default_factory=list)

    def module(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not inputs or not isinstance(inputs[0], Tensor) or not isinstance(output, Tensor):
            return
        step = _Step(module, inputs[0], output)
        self.around.append(step)
        if isinstance(module, KernelLinear | FeedForward | NormedSum | nn.LayerNorm):
            self.steps.append(step)

    def attention(self, seen: Attended) -> None:
        self.steps.append(_Step(seen, seen.states[0], seen.output))


class _Summed(NamedTuple):
    """Layers behind which something is added, and the sum normed."""

    layers: tuple[Layer, ...]
    norm: nn.LayerNorm
    gave: Tensor


def whole_layers(network: Network, spec: Spec) -> Network:
    """The network with a single call for each layer that is one; it is changed in place."""
    vocabulary, own = vocabulary_of(network.model), kernels()
    if own is None or vocabulary is None or network.way != "runs" or network.device.type != "cpu" or network.layered:
        return network
    count = join(network, own, sequences(network, vocabulary, spec.max_tokens))
    return replace(network, kernels=f"{network.kernels}; {count} layers in one call each") if count else network


@torch.inference_mode()
def join(network: Network, own: Kernels, trial: Any) -> int:
    """Put a single call for each layer, where the network then gives what it gave; how many there are now."""
    seen = _Seen()
    with _watched(network.model, seen):
        before = network.features(*trial).outcome
    places = dict(_found(network, own, seen, np.array(runs_of(trial[1]))))
    return len(places) if swapped(network, places, trial, before, _alike(network, _SAME_AT_THE_END)) else 0


def _alike(network: Network, integers: float) -> float:
    return integers if network.integers else tolerance(network.model.dtype)


def _found(network: Network, own: Kernels, seen: _Seen, runs: Places) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The modules that are such a layer, each with what takes its place."""
    for index, step in enumerate(seen.steps):
        flow = _flow(seen.steps, index) if isinstance(step.part, Attended) else None
        module = flow and next((one.part for one in reversed(seen.around) if one.between(flow.given, flow.gave)), None)
        if flow is None or module is None:
            continue
        pairs = own.has_pairs and (flow.given.dtype == torch.bfloat16 or network.rough)
        try:
            encoder = Encoder(flow.parts(pairs=pairs))
        except ValueError:  # parts that do not fit
            continue
        if apart(own.encode(encoder, flow.given, runs), flow.gave) <= _alike(network, _SAME):
            yield module, EncoderLayer(module, encoder, own)


class _Flow(NamedTuple):
    """What goes in, the parts that it passes, and what comes out."""

    given: Tensor
    parts: Callable[..., EncoderParts]
    gave: Tensor


def _flow(steps: list[_Step], index: int) -> _Flow | None:
    """Around the attention at `index`, if before and behind it is what a layer has there."""
    seen: Attended = steps[index].part
    linears = {place_of(step.gave): step for step in steps[:index] if isinstance(step.part, KernelLinear)}
    inputs = [linears[place] for place in map(place_of, seen.states) if place in linears]
    mixed, rest = _summed(steps[index + 1 :])
    last, _ = _summed(rest)
    if not seen.kind.plain or len(inputs) != len(seen.states) or mixed is None or last is None:
        return None
    if len({place_of(step.given) for step in inputs}) > 1 or len(mixed.layers) != 1 or len(last.layers) != 2:
        return None
    up, down = last.layers
    parts = partial(
        EncoderParts,
        inputs=tuple(step.part.layers[0] for step in inputs), mixed=mixed.layers[0], after_mixed=mixed.norm,
        up=up, down=down, after_all=last.norm, heads=seen.states[0].shape[1], scale=seen.kind.scale or 1.0,
    )  # fmt: skip
    return _Flow(inputs[0].given, parts, last.gave)


def _summed(steps: list[_Step]) -> tuple[_Summed | None, list[_Step]]:
    """The layers that come next, if a sum and a norm are behind them; and what comes after that."""
    part, behind = (*(step.part for step in steps[:2]), None, None)[:2]
    if isinstance(part, NormedSum):
        return _Summed(part.inner.layers, part.norm, steps[0].gave), steps[1:]
    if isinstance(part, KernelLinear | FeedForward) and isinstance(behind, nn.LayerNorm):
        return _Summed(part.layers, behind, steps[1].gave), steps[2:]
    return None, []


@contextmanager
def _watched(model: nn.Module, seen: _Seen) -> Iterator[None]:
    with hooked(model.modules(), seen.module), watched(seen.attention):
        yield
