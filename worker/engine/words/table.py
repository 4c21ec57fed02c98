"""A table of words in C, compiled where it runs: meanwhile the interpreter is free for others."""

import ctypes
import os
import secrets
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from worker.engine.build import NotBuilt, built
from worker.engine.tokens import ID_BYTES

Counts = npt.NDArray[np.int64]

_P, _N, _U = ctypes.c_void_p, ctypes.c_long, ctypes.c_uint64
#: What each function of the source gives and takes.
_TAKES = {
    "made": (_P, (_N, _N, _U, _P)),
    "forget": (None, (_P,)),
    "empty": (None, (_P,)),
    "cut": (_N, (_P, _P, _P, _N, _P, _P)),
    "words_in": (_N, (_P,)),
    "letters_from": (_P, (_P, _N, _P)),
    "learn": (_N, (_P, _N, _P, _P)),
    "lengths_of": (_N, (_P, _P, _P, _N, _P)),
    "write_ids": (None, (_P, _P, _P, _N, _P, _P)),
}
#: In place of a word's number of ids: a text that has it must be read whole.
_UNFIT = -2
#: What a byte is.
PART, BLANK, MARK = range(3)


class LookedUp(NamedTuple):
    """The ids of some texts (None: to be read whole), how many words they have, and how many of these were new."""

    bodies: list[bytes | None]
    words: int
    new: int


class Table:
    """Words and their ids, for one thread at a time; when it is full, all are forgotten."""

    def __init__(self, library: ctypes.CDLL, *, most: int, longest: int, kinds: bytes) -> None:
        self._library = library
        self._at = library.made(most, longest, secrets.randbits(64), kinds)
        if not self._at:
            raise MemoryError(f"no memory for {most} words")
        self._used = 0

    def __del__(self) -> None:
        if getattr(self, "_at", None):
            self._library.forget(self._at)

    def look_up(self, texts: list[bytes], ids_of: Callable[[list[str]], Iterable[bytes | None]]) -> LookedUp:
        """As many of the first texts, in UTF-8, as there is room for, at least one; `ids_of` is asked for new words."""
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=starts[1:])
        letters = b"".join(texts)
        found, counts = np.empty(len(letters) + 1, np.uint32), np.empty(len(texts), np.int64)
        before = self._used
        done = self._library.cut(
            self._at, letters, starts.ctypes.data, len(texts), found.ctypes.data, counts.ctypes.data
        )
        try:
            room = self._learn(ids_of)
        except BaseException:
            # Words that nobody learned may not stay.
            self._empty()
            raise
        bodies = self._bodies(found, counts[:done])
        words, new = int(np.maximum(counts[:done], 0).sum()), self._used - before
        if done < len(texts) or not room:
            self._empty()
        # One that alone is too much for all the room there is must be read whole.
        return LookedUp(bodies if done or before else [None], words, new)

    def _learn(self, ids_of: Callable[[list[str]], Iterable[bytes | None]]) -> bool:
        """Whether there was room for all ids."""
        new = self._new_words()
        ids = list(ids_of(new))
        counts = np.array([_UNFIT if one is None else len(one) // ID_BYTES for one in ids], np.int64)
        known = b"".join(one for one in ids if one is not None)
        homeless = self._library.learn(self._at, self._used, counts.ctypes.data, known)
        self._used += len(new)
        return not homeless

    def _new_words(self) -> list[str]:
        lengths = np.empty(self._library.words_in(self._at) - self._used, np.int64)
        begin = self._library.letters_from(self._at, self._used, lengths.ctypes.data)
        letters = ctypes.string_at(begin, int(lengths.sum()))
        ends = np.cumsum(lengths).tolist()
        return [letters[begin:end].decode() for begin, end in zip([0, *ends], ends, strict=False)]

    def _empty(self) -> None:
        self._library.empty(self._at)
        self._used = 0

    def _bodies(self, found: npt.NDArray[np.uint32], counts: Counts) -> list[bytes | None]:
        lengths = np.empty_like(counts)
        places = (found.ctypes.data, counts.ctypes.data, len(counts), lengths.ctypes.data)
        total = self._library.lengths_of(self._at, *places)
        ids = np.empty(total, np.int32)
        self._library.write_ids(self._at, *places, ids.ctypes.data)
        ends = (np.cumsum(np.maximum(lengths, 0)) * ID_BYTES).tolist()
        known, begins = ids.tobytes(), [0, *ends]
        return [
            None if length < 0 else known[begin:end]
            for length, begin, end in zip(lengths.tolist(), begins, ends, strict=False)
        ]


def library() -> ctypes.CDLL | None:
    """The compiled source; None where it cannot be compiled."""
    return _found()[0]


def why_none() -> str:
    """Why there is none, in words; nothing where there is one."""
    return _found()[1]


@cache
def _found() -> tuple[ctypes.CDLL | None, str]:
    if os.name != "posix":
        # A long has 32 bits there, and files say no owner.
        return None, "it is compiled on POSIX systems alone"
    try:
        made = ctypes.CDLL(str(built("words", [Path(__file__).with_name("table.c")])))
    except (NotBuilt, OSError) as cause:
        return None, str(cause)
    for name, (gives, takes) in _TAKES.items():
        getattr(made, name).restype, getattr(made, name).argtypes = gives, takes
    return made, ""
