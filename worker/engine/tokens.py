"""Token ids of many texts as two flat arrays: what the tokenizer gives and the engine takes."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.float32]
ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as ids: text i is `ids[offsets[i]:offsets[i + 1]]`; `truncated` says whose end was cut off.

    `may_be_empty`: a text without a token has a vector all the same.
    """

    ids: Ids
    offsets: Offsets
    truncated: npt.NDArray[np.bool_]
    may_be_empty: bool = False

    def __len__(self) -> int:
        return len(self.truncated)

    @property
    def lengths(self) -> Offsets:
        """Tokens per text, special tokens counted."""
        return np.diff(self.offsets)

    @property
    def costs(self) -> Offsets:
        """What each text costs in a batch, in tokens; 0 where it cannot be encoded."""
        return np.maximum(self.lengths, 1) if self.may_be_empty else self.lengths

    def lists(self) -> list[list[int]]:
        """The ids as plain lists, one per text."""
        return [ids.tolist() for ids in self.each()]

    def each(self) -> list[Ids]:
        """The ids of each text."""
        return np.split(self.ids, self.offsets[1:-1]) if len(self) else []

    def emptied(self, rows: npt.NDArray[np.bool_]) -> Self:
        """The same texts, some of them without their ids."""
        lengths = np.where(rows, 0, self.lengths)
        return replace(self, ids=self.ids[np.repeat(~rows, self.lengths)], offsets=offsets_of(lengths))

    def take(self, rows: Index) -> tuple[Ids, Offsets]:
        """The ids of some texts, in that order, flat again; and where each begins and ends."""
        begins, ends = self.offsets[rows], self.offsets[rows + 1]
        # A slice a text is faster than an index for each token, even for texts of 20 tokens.
        texts = [self.ids[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return np.concatenate(texts or [self.ids[:0]]), offsets_of(ends - begins)


def joined(pieces: list[Tokens]) -> Tokens:
    """The texts of all pieces, in their order; there is at least one piece."""
    if len(pieces) == 1:
        return pieces[0]
    lengths = np.concatenate([piece.lengths for piece in pieces])
    ids = np.concatenate([piece.ids for piece in pieces])
    truncated = np.concatenate([piece.truncated for piece in pieces])
    return Tokens(ids, offsets_of(lengths), truncated, any(piece.may_be_empty for piece in pieces))


def flat(lists: list[list[int]], truncated: npt.NDArray[np.bool_]) -> Tokens:
    """Texts whose ids are given as lists."""
    offsets = offsets_of(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
    ids = np.fromiter(chain.from_iterable(lists), dtype=np.int32, count=int(offsets[-1]))
    return Tokens(ids=ids, offsets=offsets, truncated=truncated)


def as_bytes(ids: Sequence[int]) -> bytes:
    """Ids as the bytes of int32."""
    return array("i", ids).tobytes()


def of_bytes(texts: list[bytes], truncated: npt.NDArray[np.bool_]) -> Tokens:
    """Texts whose ids are given as the bytes of int32."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) // ID_BYTES
    # In a bytearray they may be changed in place.
    return Tokens(np.frombuffer(bytearray().join(texts), np.int32), offsets_of(lengths), truncated)


def offsets_of(lengths: npt.NDArray[Any]) -> Offsets:
    """Where each of some consecutive pieces begins, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def runs_of(offsets: Offsets) -> list[tuple[int, int, int]]:
    """Neighbours of equal length as (first token, how many pieces, tokens in each)."""
    lengths = np.diff(offsets)
    if not len(lengths):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(lengths)) + 1))
    counts = np.diff(np.concatenate((starts, [len(lengths)])))
    return list(zip(offsets[starts].tolist(), counts.tolist(), lengths[starts].tolist(), strict=True))
