"""What a first layer makes of a word in a position, as the kernels read it: each has its share in a table.

A token's numbers are norm(w + p), of a word's numbers w and a position's p. With w' and p', which are w and p without
their means, norm(w + p) = g (w' + p') s + b, and s = 1 / sqrt(mean((w' + p')^2) + epsilon) is a single number. So
A norm(w + p) + a = s (A g w' + A g p') + (A b + a): what is in brackets is known once for a word, a position, a layer.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

_P, _N = ctypes.c_void_p, ctypes.c_long
#: Numbers of a row are whole vectors of any CPU.
_VECTOR = 16

#: int32 [tokens], rows of a table.
Rows = npt.NDArray[np.int32]


class _Struct(ctypes.Structure):
    """`lookup` of lookup.h."""

    _fields_ = [
        ("words", _P), ("positions", _P), ("begin", _P),
        ("inner", _N), ("width", _N), ("row", _N), ("halves", _N), ("epsilon", ctypes.c_double),
    ]  # fmt: skip


class _Found(ctypes.Structure):
    """`looked_up` of lookup.h."""

    _fields_ = [("table", _P), ("words", _P), ("positions", _P)]


@dataclass(frozen=True, slots=True)
class Entry:
    """How tokens enter a network: norm(words[word] + positions[position]), then layers for query, key and value.

    [words, width], [positions, width] and the norm in one kind of numbers; in float32 `weights` [3 inner, width] and
    `bias` [3 inner].
    """

    words: Tensor
    positions: Tensor
    norm: nn.LayerNorm
    weights: Tensor
    bias: Tensor

    @property
    def row(self) -> int:
        """Numbers of a row of the tables."""
        width = self.words.shape[1]
        return len(self.weights) + width + -width % _VECTOR

    def check(self, words: Rows, positions: Rows) -> None:
        """IndexError where there is no such word or position."""
        for rows, table in ((words, self.words), (positions, self.positions)):
            if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(table):
                raise IndexError(f"{rows.min()} to {rows.max()} of {len(table)} words or positions")


class Lookup:
    """The tables, in the kind of query, key and value. A word's row is made when it is first seen.

    `times` multiplies rows by the weights, the norm's among them.
    """

    def __init__(self, entry: Entry, kind: torch.dtype, times: Callable[[Tensor], Tensor]) -> None:
        self._entry, self._kind, self._times = entry, kind, times
        self._words = torch.empty((len(entry.words), entry.row), dtype=kind)
        self._known = np.zeros(len(entry.words), dtype=np.bool_)
        self._positions = self._rows(entry.positions)
        self._begin = entry.weights @ entry.norm.bias.detach().float() + entry.bias
        self._struct = _Struct(
            *(tensor.data_ptr() for tensor in (self._words, self._positions, self._begin)),
            len(entry.weights) // 3, entry.words.shape[1], entry.row, kind == torch.bfloat16, entry.norm.eps,
        )  # fmt: skip
        self.address = ctypes.addressof(self._struct)

    @torch.inference_mode()
    def of(self, words: Rows, positions: Rows) -> "LookedUp":
        """Tokens by their words and positions; IndexError where there is no such one."""
        self._entry.check(words, positions)
        new = np.unique(words[~self._known[words]])
        if len(new):
            self._words[new] = self._rows(self._entry.words[new])
            self._known[new] = True
        return LookedUp.of(self, words, positions)

    def _rows(self, numbers: Tensor) -> Tensor:
        wide = numbers.float()
        centered = wide - wide.mean(dim=1, keepdim=True)
        rows = torch.cat([self._times(centered), centered], dim=1)
        return pad(rows, (0, self._entry.row - rows.shape[1])).to(self._kind)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Tokens whose query, key and value are looked up."""

    address: int
    _kept: tuple[object, ...]

    @classmethod
    def of(cls, table: Lookup, words: Rows, positions: Rows) -> Self:
        """As the kernels read them: contiguous."""
        struct = _Found(table.address, words.ctypes.data, positions.ctypes.data)
        return cls(ctypes.addressof(struct), (struct, table, words, positions))
