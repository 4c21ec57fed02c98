"""The ids of words that came before. A corpus says few words again and again, so most need no tokenizer.

Only for tokenizers that take each word between blanks alone. What the tokenizer gave of a word is kept as the bytes of
its ids; those of a text are its words' in a row.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from sys import getsizeof
from typing import Any, Self

from worker.engine.tokens import as_bytes
from worker.engine.words_alone import Cuts, stands_alone

#: Memory for words, about: 300,000 of them. When it is full, all are forgotten; those in use are soon back.
MOST_BYTES = 64 * 1024 * 1024
#: Characters. A longer word hardly comes again: its text is tokenized whole.
LONGEST = 128
#: A place in a dictionary.
_PLACE_BYTES = 100
#: Words that are new are tokenized so many at a time.
_AT_ONCE = 64

Known = dict[str, bytes | None]


class Lexicon:
    """Words and their ids, by a tokenizer that may by now cut to `most` tokens. Threads may share it."""

    def __init__(self, backend: Any, cuts: Cuts, most: int | None) -> None:
        self._backend = backend
        self._cuts = cuts
        self._most = most
        self._known: Known = {}
        self._room = MOST_BYTES

    @classmethod
    def of(cls, backend: Any, most: int | None) -> Self | None:
        """A lexicon without a word; None where words do not stand alone. `backend` may not cut yet."""
        cuts = Cuts.of(backend)
        return None if cuts is None else cls(backend, cuts, most)

    def bodies(self, texts: Sequence[str]) -> list[bytes | None]:
        """The ids of each text as int32 in bytes, without special tokens; None where it must be tokenized whole."""
        known = self._known
        whole = [any(char in text for char in self._cuts.glue) for text in texts]
        words = [[] if odd else text.split() for text, odd in zip(texts, whole, strict=True)]
        self._learn(set(chain.from_iterable(words)).difference(known), known)
        return [None if odd else _body(some, known) for some, odd in zip(words, whole, strict=True)]

    def _learn(self, words: set[str], known: Known) -> None:
        cut = {word: self._cuts.pieces(word) for word in words if len(word) <= LONGEST}
        pieces = [piece for piece in set(chain.from_iterable(cut.values())).difference(known) if stands_alone(piece)]
        fresh: Known = dict(zip(pieces, self._ids(pieces), strict=True))
        known.update(fresh)
        fresh |= {word: _body(pieces, known) for word, pieces in cut.items()}
        known.update(fresh)
        self._room -= sum(getsizeof(word) + getsizeof(ids) + _PLACE_BYTES for word, ids in fresh.items())
        if self._room < 0:
            # Whoever is at work keeps the one that it began with.
            self._known, self._room = {}, MOST_BYTES

    def _ids(self, words: list[str]) -> Iterable[bytes | None]:
        for at in range(0, len(words), _AT_ONCE):
            for found in self._backend.encode_batch_fast(words[at : at + _AT_ONCE], add_special_tokens=False):
                # One of so many tokens may have been cut.
                yield None if self._most is not None and len(found) >= self._most else as_bytes(found.ids)


def _body(words: list[str], known: Known) -> bytes | None:
    try:
        return b"".join(map(known.get, words))  # type: ignore[arg-type]
    except TypeError:
        # One of them is not known.
        return None
