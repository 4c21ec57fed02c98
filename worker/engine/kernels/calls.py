"""The kernels as functions of tensors. Each call is one thread's; meanwhile the interpreter is free."""

import ctypes
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.encoder import Encoder, Places, Runs, first_tokens
from worker.engine.kernels.layer import KINDS, Form, Layer, Norm
from worker.engine.kernels.lookup import Entry, LookedUp, Lookup, Rows

#: The keys of one head of one text are kept at once.
LONGEST = 2048

_P, _N, _F, _I = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
#: What each function of the sources takes.
_TAKES = {
    "linear": (_P, _P, _P, _P, _N, _P, _P),
    "linear_memory": (_P, _P),
    "encode": (_P, _P, _P, _P, _N, _P, _P),
    "attend_first": (_P, _P, _P, _P, _N, _P, _P),
    "encoder_memory": (_P, _N),
    "attention_memory": (_N, _N),
    "has_kind": (_N,),
    "panel_columns": (),
    "levels_in_word": (),
    "gelu": (_P, _P, _N, _I),
    "embed": (_P, _P, _P, _P, _N, _N, _P, _P, ctypes.c_double, _I, _P),
    "layer_norm": (_P, _P, _N, _N, _P, _P, _F, _I),
    "attention": (_P, _P, _P, _P, _P, _N, _N, _P, _N, _F, _I, _I, _I, _P),
}


class Kernels:
    """A compiled library. Arrays are contiguous, and float32 where nothing else is said."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        for name, takes in _TAKES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = takes, _N if name.endswith("_memory") else _I
        self._own = threading.local()
        self._form = Form(self._library.panel_columns(), self._library.levels_in_word())
        self.has_pairs = bool(self._library.has_kind(KINDS[torch.bfloat16]))

    def multiplies(self, dtype: torch.dtype) -> bool:
        """Whether products of weights of this kind are best taken here: not where torch has AMX for them."""
        has = dtype in KINDS and bool(self._library.has_kind(KINDS[dtype]))
        return has and (dtype == torch.float32 or not torch.cpu._is_amx_tile_supported())

    def layer(self, weight: Tensor, bias: Tensor | None, scales: Tensor | None = None) -> Layer:
        """Weights as this CPU's kernels read them; see `Layer`."""
        return Layer(self._form, weight, bias, scales)

    def lookup(self, entry: Entry, kind: torch.dtype) -> Lookup:
        """Tables of what a first layer makes of words and positions, its query, key and value in this kind."""
        layer = self.layer(entry.weights * entry.norm.weight.detach().float(), None)
        return Lookup(entry, kind, partial(self.linear, (layer,)))

    def linear(self, layers: Sequence[Layer], states: Tensor, after: Norm | None = None) -> Tensor:
        """[..., in of the first] to [..., out of the last], of one layer, or of two with GELU between.

        `after`: what is added then, and the norm of the sum. ValueError where it is no input of these layers.
        """
        up, last = layers[:-1], layers[-1]
        rows = _rows(states, layers[0])
        output = torch.empty((len(rows), last.shape[0]), dtype=last.kind_out)
        both = up[0].address if up else None, last.address
        self._library.linear(
            *both, after.address_for(output) if after else None,
            rows.data_ptr(), len(rows), output.data_ptr(), self._memory(self._library.linear_memory(*both)),
        )  # fmt: skip
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

    def embed(self, entry: Entry, words: Rows, positions: Rows) -> Tensor:
        """[tokens, width], the norm of each token's sum. IndexError where there is no such word or position."""
        entry.check(words, positions)
        kind, width = entry.words.dtype, entry.words.shape[1]
        output = torch.empty((len(words), width), dtype=kind)
        norm = entry.norm
        self._library.embed(
            entry.words.data_ptr(), entry.positions.data_ptr(), words.ctypes.data, positions.ctypes.data,
            len(words), width, norm.weight.data_ptr(), norm.bias.data_ptr(), norm.eps, _is_half(output),
            output.data_ptr(),
        )  # fmt: skip
        return output

    def bears(self, states: Sequence[Tensor], longest: int) -> bool:
        """Whether `attention` takes these: float32, or bfloat16 where the CPU multiplies it, and no very long text."""
        query = states[0]
        known = query.dtype == torch.float32 or (query.dtype == torch.bfloat16 and self.has_pairs)
        alike = all(part.shape == query.shape and part.stride(3) == 1 and part.dtype == query.dtype for part in states)
        return known and alike and query.shape[3] % 2 == 0 and longest <= LONGEST

    def attention(self, states: Sequence[Tensor], runs: Runs, scale: float, *, rough: bool = False) -> Tensor:
        """Softmax(scale Q K') V inside each text of [1, heads, tokens, width], as [tokens, heads, width].

        `runs` are (first token, texts, tokens in each). `rough`: products of float32 are taken in bfloat16, where the
        CPU multiplies it.
        """
        query = states[0]
        _, heads, tokens, width = query.shape
        output = torch.empty((tokens, heads, width), dtype=query.dtype)
        strides = np.array([part.stride(axis) for part in states for axis in (2, 1)], dtype=np.int64)
        places, halves = np.asarray(runs, dtype=np.int64), _is_half(query)
        self._library.attention(
            *(part.data_ptr() for part in (*states, output)), strides.ctypes.data, heads, width,
            places.ctypes.data, len(places), scale, halves, (rough or halves) and self.has_pairs, False,
            self._memory(self._library.attention_memory(width, int(places[:, 2].max()))),
        )  # fmt: skip
        return output

    def encode(self, encoder: Encoder, states: Tensor, runs: Runs, found: LookedUp | None = None) -> Tensor:
        """[..., in] of texts that lie end to end, to the same, by a layer; `runs` as above, of `LONGEST` at most.

        `found`: query, key and value of each token, that need no product then. ValueError where these are no input of
        the layer.
        """
        given, places = encoder.input_of(states, runs)
        output = torch.empty_like(given)
        self._library.encode(
            encoder.address, found and found.address, given.data_ptr(), places.ctypes.data, len(places),
            output.data_ptr(), self._memory_of(encoder, places),
        )  # fmt: skip
        return output

    def encode_first(self, encoder: Encoder, states: Tensor, runs: Runs) -> Tensor:
        """What `encode` gives for the first token of each text, [texts, in], to the last bit."""
        given, places = encoder.input_of(states, runs)
        parts = encoder.parts
        first = given.view(-1, encoder.width)[first_tokens(places)]
        query = self.linear(parts.inputs[:1], first)
        mixed = torch.empty_like(query)
        self._library.attend_first(
            encoder.address, query.data_ptr(), given.data_ptr(), places.ctypes.data, len(places),
            mixed.data_ptr(), self._memory_of(encoder, places),
        )  # fmt: skip
        summed = self.linear((parts.mixed,), mixed, Norm(first, parts.after_mixed))
        return self.linear((parts.up, parts.down), summed, Norm(summed, parts.after_all))

    def _memory_of(self, encoder: Encoder, places: Places) -> int:
        return self._memory(self._library.encoder_memory(encoder.address, int(places[:, 2].max())))

    def _memory(self, size: int) -> int:
        """Where this thread's memory lies, at least so many bytes; what is in it is lost with the next call."""
        if (kept := getattr(self._own, "memory", None)) is None or kept.numel() < size + 64:
            kept = self._own.memory = torch.empty(size + 64, dtype=torch.uint8)
        return -(-kept.data_ptr() // 64) * 64


def _rows(states: Tensor, layer: Layer) -> Tensor:
    inputs = layer.shape[1]
    if states.dtype != layer.kind_in or states.shape[-1] != inputs:
        raise ValueError(f"{inputs} inputs in {layer.kind_in} are wanted, not {states.shape[-1]} in {states.dtype}")
    return states.reshape(-1, inputs).contiguous()


def _is_half(tensor: Tensor) -> bool:
    return tensor.dtype == torch.bfloat16
