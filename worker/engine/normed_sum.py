"""Parts of a network that add something to what a linear layer gives, and norm the sum: found by trying, and made one.

Knows no model by name: such a part is a module of a layer, a norm and perhaps a dropout that gives just that.
"""

from collections.abc import Iterator

import torch
from torch import nn

from worker.engine.forward import Network
from worker.engine.kernel_linear import FeedForward, KernelLinear, NormedSum
from worker.engine.layers import put
from worker.engine.trial import apart, tolerance


def with_normed_sums(network: Network) -> Network:
    """The network with one module for each such part; it is changed in place."""
    put(network.model, dict(_places(network.model)))
    return network


@torch.inference_mode()
def _places(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    for module in list(model.modules()):
        parts = [part for part in module.children() if not isinstance(part, nn.Dropout | nn.Identity)]
        inner = [part for part in parts if isinstance(part, KernelLinear | FeedForward)]
        norms = [part for part in parts if type(part) is nn.LayerNorm]
        if len(parts) == 2 and len(inner) == len(norms) == 1:
            made = NormedSum(inner[0], norms[0])
            if _same(module, made):
                yield module, made


def _same(module: nn.Module, made: NormedSum) -> bool:
    """Whether a module of two inputs gives what the one made of its parts gives, for inputs that none can foresee."""
    first, last = made.inner.layers[0], made.inner.layers[-1]
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(1, 3, first.shape[1], generator=generator).to(first.kind_in)
    residual = torch.randn(1, 3, last.shape[0], generator=generator).to(last.kind_out)
    try:
        return apart(made(states, residual), module(states, residual)) <= tolerance(first.kind_in)
    except Exception:  # it takes something else, or is of another kind of numbers
        return False
