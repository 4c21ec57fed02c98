"""Linear layers by our own products: one, or two with GELU between. Knows no network.

In the weights' own kind of numbers, or in 8-bit integers with float32 in and out; then each row (token) has a scale of
its own. No row depends on another, to the last bit.
"""

import torch
from torch import Tensor, nn

from worker.engine.int8 import quantized_weights
from worker.engine.kernels import Kernels, Norm

#: The greatest level of a weight in integers.
_MOST = 127


class KernelLinear(nn.Module):
    """`nn.Linear`."""

    def __init__(self, linear: nn.Linear, own: Kernels, *, integers: bool = False) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        weight, scales = linear.weight.detach(), None
        if integers:
            weight, scales = quantized_weights(weight.float(), _MOST)
        self.own, self.layers = own, (own.layer(weight, linear.bias, scales),)
        #: Opaque but for its dtype, which some networks look at; integers are no plain weights.
        self.weight = None if integers else self.layers[0].weights.view(linear.weight.dtype)

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return self.own.linear(self.layers, states)


class FeedForward(nn.Module):
    """A layer, GELU and a layer, some rows at a time: what lies between is never in memory as a whole."""

    def __init__(self, up: KernelLinear, down: KernelLinear) -> None:
        super().__init__()
        self.own, self.layers = up.own, (*up.layers, *down.layers)

    def forward(self, states: Tensor) -> Tensor:
        """[..., in of the first] to [..., out of the second]."""
        return self.own.linear(self.layers, states)


class NormedSum(nn.Module):
    """The norm of what layers give and something else, added."""

    def __init__(self, inner: KernelLinear | FeedForward, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.inner, self.norm = inner, norm

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        """[..., in] and [..., out] to [..., out]."""
        return self.inner.own.linear(self.inner.layers, states, Norm(residual, self.norm))


def is_best(linear: nn.Linear, own: Kernels, *, integers: bool = False) -> bool:
    """Whether our products are the best for a layer here."""
    dtype = torch.int8 if integers else linear.weight.dtype
    return own.multiplies(dtype) and (dtype != torch.bfloat16 or linear.in_features % 2 == 0)
