"""A linear layer in 8-bit integers, on a CPU, by oneDNN's products. Knows no network.

Each row (token) of the input has a scale of its own, so no row depends on another; each output channel of the weights
has one. The products are summed in int32, so what comes out is the same to the last bit, whatever is in the batch.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

#: The kernel of CPUs without VNNI adds two products in 16 bits: 2 x 255 x 63 fits, 2 x 255 x 127 would be cut off.
WEIGHT_MOSTS = (127, 63)
INPUT_MOST = 127
_ZERO = 128
#: Kernels are compiled for a number of rows, so there must not be many such numbers.
_ROWS_STEP = 64
#: Below it a row is all zeros to any layer; a scale of zero would divide by zero.
_LEAST_SCALE = 1e-30


class Int8Linear(nn.Module):
    """`nn.Linear` with float32 in and out, and integers between."""

    #: Some networks look at the dtype of a layer's weight, where it has one; these are no plain weights.
    weight = None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        levels, self._scales = quantized_weights(linear.weight.detach().float(), weight_most())
        self._packed = torch.ops.onednn.qlinear_prepack(levels, None)
        self._zeros = torch.zeros(self.out_features, dtype=torch.int64)

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        rows = states.reshape(-1, self.in_features)
        levels, scales = quantized_rows(rows)
        output = _product(levels, self._packed, self._scales, self._zeros)[: len(rows)] * scales
        if self.bias is not None:
            output += self.bias
        return output.view(*states.shape[:-1], self.out_features)


def quantized_weights(weight: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """int8 [out, in] within +-`most`, and the scale of each output channel."""
    scales = (weight.abs().amax(1) / most).clamp_(min=_LEAST_SCALE)
    return (weight / scales[:, None]).round_().to(torch.int8), scales


def quantized_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [rows up to a full step, in] around 128, and the scale [rows, 1] of each row."""
    # Two passes without a copy are much faster than a norm or abs(). A row that is not finite gets a scale that is not.
    most = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
    scales = most.div_(INPUT_MOST).clamp_(min=_LEAST_SCALE)
    levels = (rows / scales).round_().to(torch.int8).view(torch.uint8).bitwise_xor_(_ZERO)
    return pad(levels, (0, 0, 0, -len(rows) % _ROWS_STEP)), scales


@cache
def weight_most() -> int:
    """The greatest level of a weight with which this CPU's kernel sums exactly, by trying.

    RuntimeError, in words for a user, where there is none.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        raise RuntimeError("this build of torch has no oneDNN")
    for most in WEIGHT_MOSTS:
        if _exact(most):
            return most
    raise RuntimeError("its sums are not exact")


def _exact(most: int) -> bool:
    signs = torch.tensor([[1] * 64, [-1] * 64, [1, -1] * 32])
    levels = (signs * INPUT_MOST + _ZERO).to(torch.uint8)
    weights = (signs * most).to(torch.int8)
    scales, zeros = torch.ones(3), torch.zeros(3, dtype=torch.int64)
    try:
        output = _product(levels, torch.ops.onednn.qlinear_prepack(weights, None), scales, zeros)
    except (RuntimeError, AttributeError) as cause:
        raise RuntimeError(str(cause).splitlines()[0]) from cause
    return torch.equal(output, (signs @ signs.T * (INPUT_MOST * most)).float())


def _product(levels: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    output: Tensor = torch.ops.onednn.qlinear_pointwise(
        levels, 1.0, _ZERO, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return output
