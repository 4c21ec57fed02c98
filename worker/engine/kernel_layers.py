"""Layers of a network whose work the kernels do: LayerNorm and GELU. Knows no model by name; each layer is tried.

Where a process has no kernels when a layer is called, or the numbers are of another kind, the layer does as torch does.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from worker.engine.forward import Network
from worker.engine.kernels import kernels, why_none
from worker.engine.layers import put
from worker.engine.trial import apart, tolerance

_KINDS = (torch.float32, torch.bfloat16)


class KernelNorm(nn.LayerNorm):
    """`nn.LayerNorm` over the last axis, with the same weights."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        nn.Module.__init__(self)
        self.normalized_shape, self.eps, self.elementwise_affine = norm.normalized_shape, norm.eps, True
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, states: Tensor) -> Tensor:
        """[..., width] to the same."""
        own = kernels() if states.dtype in _KINDS and states.dtype == self.weight.dtype else None
        if own is None:
            return super().forward(states)
        return own.layer_norm(states.contiguous(), self.weight, self.bias, self.eps)


class KernelGelu(nn.Module):
    """GELU by the error function."""

    def forward(self, states: Tensor) -> Tensor:
        """Any shape to the same."""
        own = kernels() if states.dtype in _KINDS else None
        return gelu(states) if own is None else own.gelu(states.contiguous())


def with_kernels(network: Network) -> Network:
    """The network with the kernels' layers in the places of those that give the same; on a CPU."""
    if network.device.type != "cpu":
        return network
    if kernels() is None:
        return replace(network, kernels=f"torch's own, since {why_none()}")
    put(network.model, dict(_places(network.model)))
    return replace(network, kernels="compiled for this CPU")


@torch.inference_mode()
def is_gelu(module: nn.Module) -> bool:
    """Whether a module without parts or weights gives what GELU gives."""
    if next(module.children(), None) is not None or next(module.parameters(), None) is not None:
        return False
    sample = torch.linspace(-6, 6, 97)
    try:
        output = module(sample)
    except Exception:  # whatever it is, it takes no single tensor
        return False
    return (
        isinstance(output, Tensor) and output.shape == sample.shape and torch.allclose(output, gelu(sample), atol=1e-6)
    )


@torch.inference_mode()
def _places(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    for module in model.modules():
        if type(module) is nn.LayerNorm and module.weight is not None and module.bias is not None:
            width, dtype = module.weight.numel(), module.weight.dtype
            sample = torch.linspace(-3, 5, 3 * width).view(3, width).to(dtype)
            own = KernelNorm(module)
            if module.weight.dim() == 1 and dtype in _KINDS and apart(own(sample), module(sample)) <= tolerance(dtype):
                yield module, own
        elif is_gelu(module):
            yield module, KernelGelu()
