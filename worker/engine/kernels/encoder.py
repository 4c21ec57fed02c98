"""A layer of an encoder as the kernels read it: attention, a feed-forward part, a sum and a norm behind each."""

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from worker.engine.kernels.layer import Layer, NormStruct

_P, _N = ctypes.c_void_p, ctypes.c_long

#: int64 [runs, 3]: first token, texts, tokens in each; or as a list.
Runs = npt.ArrayLike
Places = npt.NDArray[np.int64]


class _Struct(ctypes.Structure):
    """`encoder` of encoder.c."""

    _fields_ = [
        ("inputs", _P * 3), ("mixed", _P), ("up", _P), ("down", _P),
        ("after_mixed", NormStruct), ("after_all", NormStruct),
        ("heads", _N), ("width", _N), ("pairs", _N), ("scale", ctypes.c_double),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class EncoderParts:
    """h = after_mixed(x + mixed(attention)) and after_all(h + down(GELU(up(h)))), x the input [tokens, in].

    `inputs` give query, key and value. Attention is softmax(`scale` Q K') V, its products in bfloat16 where `pairs`.
    """

    inputs: tuple[Layer, Layer, Layer]
    mixed: Layer
    after_mixed: nn.LayerNorm
    up: Layer
    down: Layer
    after_all: nn.LayerNorm
    heads: int
    scale: float
    pairs: bool


class Encoder:
    """Such a layer; ValueError where its parts do not fit each other."""

    def __init__(self, parts: EncoderParts) -> None:
        if problem := _problem(parts):
            raise ValueError(f"no layer of an encoder: {problem}")
        self.parts = parts
        self.kind, self.width = parts.down.kind_out, parts.down.shape[0]
        self.inner_kind = parts.inputs[0].kind_out
        self._struct = _Struct(
            (_P * 3)(*(layer.address for layer in parts.inputs)),
            *(layer.address for layer in (parts.mixed, parts.up, parts.down)),
            *(_normed(norm) for norm in (parts.after_mixed, parts.after_all)),
            parts.heads, parts.inputs[0].shape[0] // parts.heads, parts.pairs, parts.scale,
        )  # fmt: skip
        self.address = ctypes.addressof(self._struct)

    def input_of(self, states: Tensor, runs: Runs) -> tuple[Tensor, Places]:
        """Both as the kernels take them; ValueError where they are no input of the layer."""
        places, rows = np.asarray(runs, dtype=np.int64), states.numel() // self.width
        if states.dtype != self.kind or states.shape[-1] != self.width or places[:, 1] @ places[:, 2] != rows:
            raise ValueError(f"{tuple(states.shape)} in {states.dtype} is no input of {self.width} numbers a token")
        return states.contiguous(), places


def first_tokens(places: Places) -> Tensor:
    """int64 [texts], where each text begins."""
    lengths = np.repeat(places[:, 2], places[:, 1])
    return torch.from_numpy(lengths.cumsum() - lengths)


def _normed(norm: nn.LayerNorm) -> NormStruct:
    return NormStruct(None, norm.weight.data_ptr(), norm.bias.data_ptr(), norm.eps)


def _problem(parts: EncoderParts) -> str:
    query = parts.inputs[0]
    inner, width = query.shape
    norms = (parts.after_mixed, parts.after_all)
    if len({(layer.shape, layer.kind, layer.kind_in, layer.kind_out) for layer in parts.inputs}) > 1:
        return "query, key and value are not alike"
    if inner % parts.heads or inner // parts.heads % 2:
        return f"{parts.heads} heads of {inner} numbers"
    if parts.mixed.shape != (width, inner) or parts.up.shape[1] != width or parts.down.shape != parts.up.shape[::-1]:
        return "layers of other sizes"
    if any(norm.weight is None or norm.bias is None or norm.weight.shape != (width,) for norm in norms):
        return "norms of other sizes"
    kinds = {
        query.kind_in,
        parts.mixed.kind_out,
        parts.up.kind_in,
        parts.down.kind_out,
        *(n.weight.dtype for n in norms),
    }
    if len(kinds) > 1 or query.kind_out != parts.mixed.kind_in or parts.up.kind_out != parts.down.kind_in:
        return "numbers of several kinds"
    return "" if parts.pairs or query.kind_out == torch.float32 else "attention in bfloat16 without pairs"
