"""Pairs of linear layers with nothing but GELU between them, found by watching a trial, and made one.

Knows no model by name: what flows from where to where is seen by the identity of tensors, what GELU is by its values.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.forward import Network
from worker.engine.kernel_layers import is_gelu
from worker.engine.kernel_linear import FeedForward, KernelLinear
from worker.engine.layers import hooked
from worker.engine.swap import swapped
from worker.engine.trial import apart, sequences, tolerance, vocabulary_of

#: In integers: some levels of 127 that are rounded to the other side; and what becomes of that at the end of a
#: network, which is far below what a value that is used in another place as well would do.
_SAME, _SAME_AT_THE_END = 0.05, 0.3


class _Pair(NamedTuple):
    """Two layers and what is between them; a last look at what went in and came out."""

    up: KernelLinear
    between: nn.Module
    down: KernelLinear
    states: Tensor
    output: Tensor

    def one(self, most_apart: float) -> FeedForward | None:
        """Both in one, where that gives the same."""
        made = FeedForward(self.up, self.down)
        return made if apart(made(self.states), self.output) <= most_apart else None


def joined(network: Network, spec: Spec) -> Network:
    """The network with one module for each such pair; it is changed in place."""
    vocabulary = vocabulary_of(network.model)
    if vocabulary is not None and any(isinstance(module, KernelLinear) for module in network.model.modules()):
        join(network, sequences(network, vocabulary, spec.max_tokens))
    return network


@torch.inference_mode()
def join(network: Network, trial: Any) -> None:
    """Put one module for each such pair, where the network then gives what it gave; nothing is changed otherwise."""
    pairs, before = _watched(network, trial)
    alike = tolerance(network.model.dtype)
    pair_alike, end_alike = (_SAME, _SAME_AT_THE_END) if network.integers else (alike, alike)
    places: dict[nn.Module, nn.Module] = {}
    for pair in pairs:
        if (one := pair.one(pair_alike)) is not None:
            places |= {pair.up: nn.Identity(), pair.between: nn.Identity(), pair.down: one}
    swapped(network, places, trial, before, end_alike)


def _watched(network: Network, trial: Any) -> tuple[list[_Pair], Tensor]:
    """Which module reads what an integer layer gave, and which integer layer reads what that gave; and the outcome."""
    seen: dict[int, tuple[Tensor, list[tuple[nn.Module, Tensor]]]] = {}  # by the tensor's id, while it is kept here
    pairs: list[_Pair] = []

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if len(inputs) != 1 or not isinstance(output, Tensor):
            return
        _, way = seen.get(id(inputs[0]), (None, []))
        seen[id(output)] = (output, [*way[-1:], (module, inputs[0])])
        if len(way) == 2 and isinstance(module, KernelLinear) and isinstance(up := way[0][0], KernelLinear):
            pairs.append(_Pair(up, way[1][0], module, way[0][1], output))

    watched = [module for module in network.model.modules() if isinstance(module, KernelLinear) or is_gelu(module)]
    with hooked(watched, watch):
        return pairs, network.features(*trial).outcome
