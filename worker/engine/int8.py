"""Linear layers in 8-bit integers, on a CPU: one, or two with GELU between. Knows no network.

Each row (token) of the input has a scale of its own, so no row depends on another; each output channel of the weights
has one. The products are summed in int32, so what comes out is the same to the last bit, whatever is in the batch.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from worker.engine.kernels import kernels

#: The kernel of CPUs without VNNI adds two products in 16 bits: 2 x 255 x 63 fits, 2 x 255 x 127 would be cut off.
WEIGHT_MOSTS = (127, 63)
INPUT_MOST = 127
_ZERO = 128
#: Kernels are compiled for a number of rows, so there must not be many such numbers.
_ROWS_STEP = 64
#: Numbers that a layer gives at once: they stay in the cache until they are read again.
_BLOCK_NUMBERS = 256 * 1536
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
        output = rows.new_empty((len(rows), self.out_features))
        for block, place in _blocks(self.out_features, rows, output):
            self.finish(*quantized_rows(block), place)
        return output.view(*states.shape[:-1], self.out_features)

    def sums(self, levels: Tensor) -> Tensor:
        """The products of rows in integers, in float32 and not yet times the scales of the rows."""
        return _product(levels, self._packed, self._scales, self._zeros)

    def finish(self, levels: Tensor, scales: Tensor, out: Tensor) -> None:
        """What the layer gives for quantized rows, into `out` [rows, out]."""
        dequantize(self.sums(levels), scales, self.bias, out)


class Int8FeedForward(nn.Module):
    """A layer, GELU and a layer, some rows at a time: what lies between is never in memory as a whole."""

    def __init__(self, up: Int8Linear, down: Int8Linear) -> None:
        super().__init__()
        self.up, self.down = up, down

    def forward(self, states: Tensor) -> Tensor:
        """[..., in of the first] to [..., out of the second]."""
        rows = states.reshape(-1, self.up.in_features)
        output = rows.new_empty((len(rows), self.down.out_features))
        for block, place in _blocks(self.up.out_features, rows, output):
            levels, scales = quantized_rows(block)
            self.down.finish(*gelu_quantized(self.up.sums(levels), scales, self.up.bias), place)
        return output.view(*states.shape[:-1], self.down.out_features)


def quantized_weights(weight: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """int8 [out, in] within +-`most`, and the scale of each output channel."""
    scales = (weight.abs().amax(1) / most).clamp_(min=_LEAST_SCALE)
    return (weight / scales[:, None]).round_().to(torch.int8), scales


def quantized_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [rows up to a full step, in] around 128, and the scale [rows, 1] of each row."""
    if (own := kernels()) is not None:
        levels = torch.empty((len(rows) + -len(rows) % _ROWS_STEP, rows.shape[1]), dtype=torch.uint8)
        scales = torch.empty((len(rows), 1))
        own.quantize(rows.contiguous(), levels, scales)
        return levels, scales
    # Two passes without a copy are much faster than a norm or abs(). A row that is not finite gets a scale that is not.
    most = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
    scales = most.div_(INPUT_MOST).clamp_(min=_LEAST_SCALE)
    levels = (rows / scales).round_().to(torch.int8).view(torch.uint8).bitwise_xor_(_ZERO)
    return pad(levels, (0, 0, 0, -len(rows) % _ROWS_STEP)), scales


def _blocks(width: int, *arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The arrays some rows at a time; a layer gives `width` numbers for each."""
    rows = max(_BLOCK_NUMBERS // width // _ROWS_STEP, 1) * _ROWS_STEP
    return zip(*(torch.split(array, rows) for array in arrays), strict=True)


def dequantize(sums: Tensor, scales: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """`out` = `sums`, which may have rows more, times the scale of each row, plus the bias."""
    if (own := kernels()) is not None:
        own.dequantize(sums, scales, bias, out)
        return
    torch.mul(sums[: len(out)], scales, out=out)
    if bias is not None:
        out.add_(bias)


def gelu_quantized(sums: Tensor, scales: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """GELU of the same, as `quantized_rows` has it. `sums` and `scales` may be written over."""
    if (own := kernels()) is not None:
        levels = torch.empty(sums.shape, dtype=torch.uint8)
        own.gelu_quantize(sums, scales, bias, levels)
        return levels, scales
    rows = sums[: len(scales)]
    dequantize(rows, scales, bias, rows)
    return quantized_rows(gelu(rows))


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
