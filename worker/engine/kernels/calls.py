"""The kernels as functions of tensors. Each call is one thread's; meanwhile the interpreter is free."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.layer import KINDS, Layer, Norm

#: The keys of one head of one text are kept at once.
_LONGEST = 2048

Runs = Sequence[tuple[int, int, int]]


_P, _N, _F, _I = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
#: What each function of the sources takes.
_TAKES = {
    "linear": (_P, _P, _P, _P, _N, _P),
    "has_kind": (_N,),
    "gelu": (_P, _P, _N, _I),
    "layer_norm": (_P, _P, _N, _N, _P, _P, _F, _I),
    "attention": (_P, _P, _P, _P, _P, _N, _N, _P, _N, _F, _I, _I),
}


class Kernels:
    """A compiled library. Arrays are contiguous, and float32 where nothing else is said."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        for name, takes in _TAKES.items():
            getattr(self._library, name).argtypes = takes
        self.has_pairs = bool(self._library.has_kind(KINDS[torch.bfloat16]))

    def multiplies(self, dtype: torch.dtype) -> bool:
        """Whether products of weights of this kind are best taken here: not where torch has AMX for them."""
        has = dtype in KINDS and bool(self._library.has_kind(KINDS[dtype]))
        return has and (dtype == torch.float32 or not torch.cpu._is_amx_tile_supported())

    def linear(self, layers: Sequence[Layer], states: Tensor, after: Norm | None = None) -> Tensor:
        """[..., in of the first] to [..., out of the last], of one layer, or of two with GELU between.

        `after`: what is added then, and the norm of the sum. ValueError where it is no input of these layers.
        """
        up, last = layers[:-1], layers[-1]
        rows = _rows(states, layers[0])
        output = torch.empty((len(rows), last.shape[0]), dtype=last.kind_out)
        self._done(self._library.linear(
            up[0].address if up else None, last.address, after.address_for(output) if after else None,
            rows.data_ptr(), len(rows), output.data_ptr(),
        ))  # fmt: skip
        return output.view(*states.shape[:-1], last.shape[0])

    def gelu(self, states: Tensor) -> Tensor:
        """GELU of float32 or bfloat16."""
        output = torch.empty_like(states)
        self._library.gelu(states.data_ptr(), output.data_ptr(), states.numel(), _is_half(states))
        return output

    def layer_norm(self, states: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Over the last axis, of float32 or bfloat16; weight and bias are of the same."""
        output, width = torch.empty_like(states), states.shape[-1]
        self._library.layer_norm(
            states.data_ptr(), output.data_ptr(), states.numel() // width, width,
            weight.data_ptr(), bias.data_ptr(), epsilon, _is_half(states),
        )  # fmt: skip
        return output

    def bears(self, states: Sequence[Tensor], runs: Runs) -> bool:
        """Whether `attention` takes these: float32, or bfloat16 where the CPU multiplies it, and no very long text."""
        query = states[0]
        known = query.dtype == torch.float32 or (query.dtype == torch.bfloat16 and self.has_pairs)
        alike = all(part.shape == query.shape and part.stride(3) == 1 and part.dtype == query.dtype for part in states)
        return known and alike and query.shape[3] % 2 == 0 and max(run[2] for run in runs) <= _LONGEST

    def attention(self, states: Sequence[Tensor], runs: Runs, scale: float, *, rough: bool = False) -> Tensor:
        """Softmax(scale Q K') V inside each text of [1, heads, tokens, width], as [tokens, heads, width].

        `runs` are (first token, texts, tokens in each). `rough`: products of float32 are taken in bfloat16, where the
        CPU multiplies it.
        """
        query = states[0]
        _, heads, tokens, width = query.shape
        output = torch.empty((tokens, heads, width), dtype=query.dtype)
        strides = np.array([part.stride(axis) for part in states for axis in (2, 1)], dtype=np.int64)
        places = np.array(runs, dtype=np.int64)
        halves = _is_half(query)
        self._done(self._library.attention(
            *(part.data_ptr() for part in (*states, output)), strides.ctypes.data, heads, width,
            places.ctypes.data, len(places), scale, halves, (rough or halves) and self.has_pairs,
        ))  # fmt: skip
        return output

    def _done(self, failed: int) -> None:
        if failed:
            raise MemoryError("no memory for what a kernel keeps meanwhile")


def _rows(states: Tensor, layer: Layer) -> Tensor:
    inputs = layer.shape[1]
    if states.dtype != layer.kind_in or states.shape[-1] != inputs:
        raise ValueError(f"{inputs} inputs in {layer.kind_in} are wanted, not {states.shape[-1]} in {states.dtype}")
    return states.reshape(-1, inputs).contiguous()


def _is_half(tensor: Tensor) -> bool:
    return tensor.dtype == torch.bfloat16
