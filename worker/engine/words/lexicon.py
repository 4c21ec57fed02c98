"""The ids of words that came before. A corpus says few words again and again, so most need no tokenizer.

Only for tokenizers that take each word between blanks alone: the ids of a text are those of its words in a row. Two
ways to keep them: a dictionary, anywhere; and a table in C, where there is a compiler.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from worker.engine.tokens import as_bytes
from worker.engine.words.cuts import BLANKS, PUNCTUATION, Cuts, stands_alone
from worker.engine.words.table import BLANK, MARK, PART, LookedUp, Table, library, why_none

#: When there are so many, all are forgotten: 20 to 45 MiB. Those in use are soon back.
MOST_WORDS = 300_000
#: Characters, or bytes. A longer word hardly comes again: its text is tokenized whole.
LONGEST = 128
#: Words that are new are tokenized so many at a time.
_AT_ONCE = 64
#: Where more than every second word is new, so many batches of texts are tokenized whole before the next try.
_REST = 7


class Lexicon(ABC):
    """Words and their ids, by a tokenizer that may by now cut to `most` tokens. Threads may share it."""

    def __init__(self, backend: Any, cuts: Cuts, most: int | None) -> None:
        self._backend = backend
        self._cuts = cuts
        self._most = most
        self._resting = 0

    def bodies(self, texts: Sequence[str]) -> list[bytes | None]:
        """The ids of each text as int32 in bytes, without special tokens; None where it must be tokenized whole."""
        # Threads that count down at the same time may take it below 0.
        if self._resting > 0:
            self._resting -= 1
            return [None] * len(texts)
        found = self._look_up(texts)
        if 2 * found.new > found.words:
            self._resting = _REST
        return found.bodies

    @abstractmethod
    def describe(self) -> str:
        """How words are kept, for a person."""

    @abstractmethod
    def _look_up(self, texts: Sequence[str]) -> LookedUp:
        """All of the texts."""

    def _ids(self, words: list[str]) -> Iterator[bytes | None]:
        """What the tokenizer gives of words; None for those that it gives something else of in a text."""
        for at in range(0, len(words), _AT_ONCE):
            some = words[at : at + _AT_ONCE]
            found = self._backend.encode_batch_fast(some, add_special_tokens=False)
            for word, one in zip(some, found, strict=True):
                # One of so many tokens may have been cut.
                cut = self._most is not None and len(one) >= self._most
                yield as_bytes(one.ids) if stands_alone(word) and not cut else None


def lexicon_of(backend: Any, most: int | None) -> Lexicon | None:
    """A lexicon without a word; None where words do not stand alone. `backend` may not cut yet."""
    cuts = Cuts.of(backend)
    if cuts is None:
        return None
    return (DictLexicon if library() is None else TableLexicon)(backend, cuts, most)


_Known = dict[str, bytes | None]


class DictLexicon(Lexicon):
    """Words between blanks; those that are new are cut around punctuation and looked up again."""

    def __init__(self, backend: Any, cuts: Cuts, most: int | None) -> None:
        super().__init__(backend, cuts, most)
        self._known: _Known = {}

    def describe(self) -> str:
        """With the reason."""
        return f"those that came before are looked up in a dictionary, since {why_none()}"

    def _look_up(self, texts: Sequence[str]) -> LookedUp:
        # Whoever is at work keeps the one that it began with.
        known = self._known = self._known if len(self._known) < MOST_WORDS else {}
        whole = [any(char in text for char in self._cuts.glue) for text in texts]
        words = [[] if odd else text.split() for text, odd in zip(texts, whole, strict=True)]
        new = set(chain.from_iterable(words)).difference(known)
        self._learn(new, known)
        bodies = [None if odd else _body(some, known) for some, odd in zip(words, whole, strict=True)]
        return LookedUp(bodies, sum(map(len, words)), len(new))

    def _learn(self, words: set[str], known: _Known) -> None:
        cut = {word: self._cuts.pieces(word) for word in words if len(word) <= LONGEST}
        pieces = list(set(chain.from_iterable(cut.values())).difference(known))
        known.update(zip(pieces, self._ids(pieces), strict=True))
        known.update({word: _body(pieces, known) for word, pieces in cut.items()})


def _body(words: list[str], known: _Known) -> bytes | None:
    try:
        return b"".join(map(known.get, words))  # type: ignore[arg-type]
    except TypeError:
        # One of them is not known.
        return None


class TableLexicon(Lexicon):
    """Words between blanks and punctuation, in a table in C."""

    def __init__(self, backend: Any, cuts: Cuts, most: int | None) -> None:
        super().__init__(backend, cuts, most)
        self._lock = threading.Lock()
        made = library()
        assert made is not None
        self._table = Table(made, most=MOST_WORDS, longest=LONGEST, kinds=_kinds(cuts))
        self._uncut = [token for token in cuts.tokens if cuts.punctuation and not token.isalnum()]

    def describe(self) -> str:
        """That it is the better way."""
        return "those that came before are looked up, in a table compiled for this CPU"

    def _look_up(self, texts: Sequence[str]) -> LookedUp:
        whole = [any(token in text for token in self._uncut) for text in texts]
        letters = [b"" if odd else text.encode() for text, odd in zip(texts, whole, strict=True)]
        found = LookedUp([], 0, 0)
        with self._lock:
            while len(found.bodies) < len(texts):
                more = self._table.look_up(letters[len(found.bodies) :], self._ids)
                found = LookedUp(found.bodies + more.bodies, found.words + more.words, found.new + more.new)
        bodies = [None if odd else body for body, odd in zip(found.bodies, whole, strict=True)]
        return found._replace(bodies=bodies)


def _kinds(cuts: Cuts) -> bytes:
    """What each byte of a text in UTF-8 is; those of longer characters are parts of words."""
    blanks = {blank for blank in BLANKS if blank.isascii()} - set(cuts.glue)
    marks = PUNCTUATION if cuts.punctuation else ""
    kinds = (BLANK if char in blanks else MARK if char in marks else PART for char in map(chr, range(128)))
    return bytes(kinds) + bytes([PART]) * 128
