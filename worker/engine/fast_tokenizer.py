"""From texts to token ids by a tokenizer of the `tokenizers` library: most words are looked up, the rest goes to it.

Thread-safe: truncation and padding are set once, and encoding does not change the tokenizer after that.
"""

from typing import Any

import numpy as np

from worker.engine.long_texts import CHARS_PER_TOKEN, head, splits_at_spaces
from worker.engine.tokens import Tokens, flat, joined, of_bytes
from worker.engine.words import ByWords, Found

#: Texts are tokenized so many at a time: what the library gives of them holds offsets, strings and masks of every
#: token until the ids are taken out, and several jobs are tokenized at once.
_TEXTS_AT_ONCE = 128


class FastTokenizer:
    """A tokenizer that cuts to `most` tokens (None: never) on a side, and pads nothing."""

    def __init__(self, backend: Any, most: int | None, *, side: str) -> None:
        self._backend = backend
        self.most = most
        backend.no_padding()
        backend.no_truncation()
        self._most_chars = _bound(backend, most, side)
        self._by_words = ByWords.of(backend, most, side=side)
        if most is not None:
            backend.enable_truncation(most, direction=side)

    @property
    def words(self) -> str:
        """What is done about words that come again, for a person."""
        if self._by_words is None:
            return "none is looked up, since this tokenizer may look across blanks: texts are tokenized whole"
        return self._by_words.lexicon.describe()

    def __call__(self, texts: list[str], *, specials: bool = True) -> Tokens:
        """The ids of every text, with or without the special tokens."""
        places = range(0, len(texts), _TEXTS_AT_ONCE) or range(1)
        return joined([self._encode_some(texts[at : at + _TEXTS_AT_ONCE], specials=specials) for at in places])

    def _encode_some(self, texts: list[str], *, specials: bool) -> Tokens:
        if self._by_words is None:
            return self._encode_whole(texts, specials=specials)
        heads = self._heads(texts)
        found = self._by_words(heads, specials=specials)
        whole = [row for row, one in enumerate(found) if not _decides(one, heads[row], texts[row])]
        if whole:
            rest = self._encode_whole([texts[row] for row in whole], specials=specials)
            for row, ids, truncated in zip(whole, rest.each(), rest.truncated.tolist(), strict=True):
                found[row] = Found(ids.tobytes(), truncated)
        ready = [one for one in found if one is not None]
        assert len(ready) == len(texts)
        return of_bytes([one.ids for one in ready], np.array([one.truncated for one in ready], np.bool_))

    def _encode_whole(self, texts: list[str], *, specials: bool) -> Tokens:
        encodings = self._encodings(texts, specials=specials)
        lists = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        truncated = np.zeros(len(lists), dtype=np.bool_)
        # Only a text of full length can have been cut; asking each for its overflow would copy it.
        for row in np.flatnonzero(lengths == self.most) if self.most is not None else ():
            truncated[row] = bool(encodings[row].overflowing)
        return flat(lists, truncated)

    def _encodings(self, texts: list[str], *, specials: bool) -> list[Any]:
        heads = self._heads(texts)
        encodings = list(self._backend.encode_batch_fast(heads, add_special_tokens=specials))
        for row, (text, kept) in enumerate(zip(texts, heads, strict=True)):
            # A head that is not truncated did not decide the ids: the rest of its text adds some.
            if len(kept) < len(text) and not encodings[row].overflowing:
                [encodings[row]] = self._backend.encode_batch_fast([text], add_special_tokens=specials)
        return encodings

    def _heads(self, texts: list[str]) -> list[str]:
        most = self._most_chars
        return texts if most is None else [text if len(text) <= most else head(text, most) for text in texts]


def _decides(found: Found | None, kept: str, text: str) -> bool:
    """Whether what was found of a text's head are the text's ids."""
    return found is not None and (found.truncated or len(kept) == len(text))


def _bound(backend: Any, most: int | None, side: str) -> int | None:
    """Characters that decide what is kept of a text; None where its end may."""
    if most is None or side != "right" or not splits_at_spaces(backend):
        return None
    return most * CHARS_PER_TOKEN
