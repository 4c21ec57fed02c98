"""Integer layers on both sides of attention that hand numbers over in bfloat16: half the way through memory.

Attention rounds query, key and value to bfloat16 in any case where layers are in integers and the CPU gains by it.
Knows no model by name: which layers these are is seen by watching a trial, by the memory of what goes in and out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from worker.engine.attention_watch import Attended, place_of, watched
from worker.engine.forward import Network
from worker.engine.kernel_linear import KernelLinear
from worker.engine.layers import hooked
from worker.engine.trial import apart

#: What rounding to 8 of 24 bits becomes at the end of a network in integers: levels that are rounded to the other side.
_SAME_AT_THE_END = 0.3


@dataclass
class _Seen:
    """Layers by where in memory lies what they gave; everything seen is kept, so that no place is used twice."""

    gave: dict[int, KernelLinear] = field(default_factory=dict)
    before: set[KernelLinear] = field(default_factory=set)
    mixed: set[int] = field(default_factory=set)
    after: set[KernelLinear] = field(default_factory=set)
    kept: list[Tensor] = field(default_factory=list)

    def layer(self, layer: KernelLinear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.kept += [inputs[0], output]
        self.gave[place_of(output)] = layer
        if place_of(inputs[0]) in self.mixed:
            self.after.add(layer)

    def attention(self, seen: Attended) -> None:
        layers = [self.gave.get(place_of(part)) for part in seen.states]
        self.kept.append(seen.output)
        if None not in layers:
            self.before.update(layer for layer in layers if layer is not None)
            self.mixed.add(place_of(seen.output))


@torch.inference_mode()
def with_half_states(network: Network, trial: Any) -> None:
    """Let such layers give and take bfloat16, where the network then gives what it gave; else nothing is changed."""
    layers = [module for module in network.model.modules() if isinstance(module, KernelLinear)]
    if not layers or not layers[0].own.has_pairs or not network.rough or network.padded:
        return
    seen = _Seen()
    with _watched(layers, seen):
        before = network.features(*trial).outcome
    _hand_over(seen, torch.bfloat16)
    try:
        same = apart(network.features(*trial).outcome, before) <= _SAME_AT_THE_END
    except Exception:  # what lies between wants another kind of numbers
        same = False
    if not same:
        _hand_over(seen, torch.float32)


def _hand_over(seen: _Seen, kind: torch.dtype) -> None:
    for layer in seen.before:
        layer.layers[-1].gives(kind)
    for layer in seen.after:
        layer.layers[0].takes(kind)


@contextmanager
def _watched(layers: list[KernelLinear], seen: _Seen) -> Iterator[None]:
    with hooked(layers, seen.layer), watched(seen.attention):
        yield
