"""A linear layer as the kernels read it, in words of 32 bits by panels of columns; and what may follow it."""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

#: By the weights' kind, the number that products.c has for it.
KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
_P, _N = ctypes.c_void_p, ctypes.c_long


@dataclass(frozen=True, slots=True)
class Form:
    """How this CPU's kernels read weights: the columns of a panel, and how many integers (4 or 2) make up a word."""

    columns: int
    levels: int

    @property
    def zero(self) -> int:
        """What integers of rows lie around: those of 8 bits are multiplied without a sign."""
        return 128 if self.levels == 4 else 0

    def panels(self, weight: Tensor) -> Tensor:
        """int32 [panels, words, columns] of [out, in], filled up with zeros."""
        wide = weight.detach()
        if weight.dtype == torch.int8 and self.levels == 2:
            wide = wide.to(torch.int16)
        numbers = 4 // wide.element_size()
        rows = pad(wide, (0, -wide.shape[1] % numbers, 0, -len(wide) % self.columns)).contiguous().view(torch.int32)
        return rows.view(-1, self.columns, rows.shape[1]).transpose(1, 2).contiguous()

    def filled(self, column: Tensor) -> Tensor:
        """[out] filled up likewise."""
        return pad(column, (0, -len(column) % self.columns)).contiguous()


class _Struct(ctypes.Structure):
    """`layer` of products.c."""

    _fields_ = [
        ("kind", _N), ("in", _N), ("out", _N), ("weights", _P), ("begin", _P), ("scales", _P), ("bias", _P),
        ("halves_in", _N), ("halves_out", _N),
    ]  # fmt: skip


class NormStruct(ctypes.Structure):
    """`norm` of products.c."""

    _fields_ = [("residual", _P), ("weight", _P), ("bias", _P), ("epsilon", ctypes.c_double)]


class Layer:
    """Weights [out, in] in float32, bfloat16 (of an even number of inputs), or int8 with a scale for each output."""

    def __init__(self, form: Form, weight: Tensor, bias: Tensor | None, scales: Tensor | None = None) -> None:
        if weight.dtype == torch.bfloat16 and weight.shape[1] % 2:
            raise ValueError(f"a row of {weight.shape[1]} numbers in bfloat16 has no whole words")
        self.shape, self.kind = tuple(weight.shape), weight.dtype
        self.weights = form.panels(weight)
        added = weight.new_zeros(len(weight), dtype=torch.float32) if bias is None else bias.detach().float()
        begin = added if scales is None else -form.zero * weight.sum(1, dtype=torch.int32)
        self._kept = [
            self.weights,
            *(form.filled(column) for column in (begin, *(() if scales is None else (scales, added)))),
        ]
        places = [tensor.data_ptr() for tensor in self._kept]
        outputs, inputs = self.shape
        self._struct = _Struct(KINDS[weight.dtype], inputs, outputs, *places, *[None] * (4 - len(places)))
        self.address = ctypes.addressof(self._struct)
        kind = torch.float32 if weight.dtype == torch.int8 else weight.dtype
        self.takes(kind)
        self.gives(kind)

    def takes(self, kind: torch.dtype) -> None:
        """In which kind numbers come in; integers may come in both."""
        self.kind_in, self._struct.halves_in = kind, kind == torch.bfloat16

    def gives(self, kind: torch.dtype) -> None:
        """In which kind numbers go out."""
        self.kind_out, self._struct.halves_out = kind, kind == torch.bfloat16


class Norm:
    """What follows a layer: something is added, [..., out], and the sum normed over its last axis, by `norm`."""

    def __init__(self, residual: Tensor, norm: nn.LayerNorm) -> None:
        self._kept = residual.contiguous(), norm.weight.detach(), norm.bias.detach()
        self._struct = NormStruct(*(tensor.data_ptr() for tensor in self._kept), norm.eps)

    def address_for(self, output: Tensor) -> int:
        """Where the kernel finds it; ValueError where it does not fit what comes out."""
        residual, *column = self._kept
        kinds = {tensor.dtype for tensor in (output, *self._kept)}
        if residual.numel() != output.numel() or len(kinds) > 1 or any(len(one) != output.shape[1] for one in column):
            raise ValueError(f"{tuple(residual.shape)} in {residual.dtype} cannot be added to {tuple(output.shape)}")
        return ctypes.addressof(self._struct)
