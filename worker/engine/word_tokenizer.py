"""Tokenizers of first modules without a network: words between blanks, and the raw tokenizer of static embeddings.

A text without a token is fine here: its vector is zeros, as in the oracle.
"""

import json
import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as Backend

from schemas.errors import ModelError
from schemas.spec import Module
from worker.engine.fast_tokenizer import FastTokenizer
from worker.engine.tokens import Tokens, flat


def tokens_of(lists: list[list[int]], limit: int | None) -> Tokens:
    """Ids of many texts, each cut off behind `limit`."""
    longer = np.array([limit is not None and len(ids) > limit for ids in lists], np.bool_)
    return replace(flat([ids[:limit] for ids in lists], longer), may_be_empty=True)


class StaticTokenizer:
    """tokenizer.json as it is, without special tokens; its own truncation counts, its padding does not."""

    def __init__(self, backend: Backend, max_tokens: int | None) -> None:
        self._fast = FastTokenizer(backend, max_tokens, side=(backend.truncation or {}).get("direction", "right"))

    @property
    def words(self) -> str:
        """What is done about words that come again."""
        return self._fast.words

    @classmethod
    def load(cls, place: Path, max_tokens: int | None) -> "StaticTokenizer":
        """The tokenizer in the module's folder."""
        try:
            return cls(Backend.from_file(str(place / "tokenizer.json")), max_tokens)
        except Exception as cause:  # the library raises bare exceptions
            raise ModelError(f"the tokenizer of {place} cannot be loaded: {cause}") from cause

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of `prompt + text` of every text."""
        tokens = self._fast([prompt + text for text in texts], specials=False)
        return replace(tokens, may_be_empty=True)

    def prompt_length(self, _prompt: str) -> int:
        """0: no pooling behind it leaves a prompt out."""
        return 0


class WordTokenizer:
    """Words between blanks that are in the vocabulary: as written, else without punctuation, else in lower case."""

    def __init__(
        self, vocabulary: Sequence[str], *, stop_words: Sequence[str], lower: bool, max_tokens: int | None
    ) -> None:
        self._ids = {word: place for place, word in enumerate(vocabulary)}
        self._stops = frozenset(stop_words)
        self._lower = lower
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, place: Path, module: Module, max_tokens: int | None) -> "WordTokenizer":
        """The tokenizer of a WordEmbeddings or BoW module."""
        name = "config.json" if module.kind == "BoW" else "whitespacetokenizer_config.json"
        config = json.loads((place / name).read_text(encoding="utf-8"))
        words = list(dict.fromkeys(config["vocab"])) if module.kind == "BoW" else config["vocab"]
        return cls(
            words,
            stop_words=config.get("stop_words", ()),
            lower=bool(config.get("do_lower_case", False)),
            max_tokens=max_tokens,
        )

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of the known words of `prompt + text`."""
        return tokens_of([self._words(prompt + text) for text in texts], self.max_tokens)

    def prompt_length(self, _prompt: str) -> int:
        """0: the oracle counts a prompt's words like all others."""
        return 0

    def _words(self, text: str) -> list[int]:
        text = text.lower() if self._lower else text
        found = (self._known(word) for word in text.split())
        return [number for number in found if number is not None]

    def _known(self, word: str) -> int | None:
        bare = word.strip(string.punctuation)
        for spelling in (word, bare, bare.lower()):
            if spelling in self._stops:
                return None
            if spelling in self._ids and (spelling or spelling is not bare):
                return self._ids[spelling]
        return None
