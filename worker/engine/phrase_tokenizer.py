"""The tokenizer of old word models that know phrases: words as nltk cuts them, neighbours joined where they are one.

Copies what sentence-transformers does with a saved PhraseTokenizer, which ignores its own do_lower_case.
"""

import json
import string
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from worker.engine.tokens import Tokens
from worker.engine.word_tokenizer import tokens_of

FILE = "phrasetokenizer_config.json"


class PhraseTokenizer:
    """Phrases and words that are in the vocabulary: as written, else in lower case, else without punctuation too."""

    def __init__(self, config: dict[str, Any], max_tokens: int | None) -> None:
        self._ids = {word: place for place, word in enumerate(config["vocab"])}
        self._stops = frozenset(config["stop_words"])
        self._separator: str = config.get("ngram_separator", "_")
        self._phrases = frozenset(filter(self._is_phrase(config.get("max_ngram_length", 5)), self._ids))
        counts = {phrase.count(self._separator) + 1 for phrase in self._phrases}
        self._longest_first = sorted(counts, reverse=True)
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, place: Path, max_tokens: int | None) -> "PhraseTokenizer":
        """The tokenizer in the folder of a WordEmbeddings module."""
        if find_spec("nltk") is None:
            raise ModelError(f"{place} cuts phrases, which needs nltk", way_out="pip install 'vecmill[phrases]'")
        return cls(json.loads((place / FILE).read_text(encoding="utf-8")), max_tokens)

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of the known phrases and words of `prompt + text`."""
        return tokens_of([self._known(self._joined(prompt + text)) for text in texts], self.max_tokens)

    def prompt_length(self, _prompt: str) -> int:
        """0: the oracle counts a prompt's words like all others."""
        return 0

    def _is_phrase(self, most: int) -> Callable[[str], bool]:
        mark = self._separator

        def is_phrase(word: str) -> bool:
            # Some vocabularies have words with several marks in a row, which are no phrases.
            return mark in word and mark + mark not in word and word.count(mark) < most

        return is_phrase

    def _joined(self, text: str) -> list[str]:
        from nltk.tokenize import word_tokenize

        words: list[str] = word_tokenize(text, preserve_line=True)
        for count in self._longest_first:
            place = 0
            while place <= len(words) - count:
                phrase = self._separator.join(words[place : place + count])
                found = next((one for one in (phrase, phrase.lower()) if one in self._phrases), None)
                if found is not None:
                    words[place : place + count] = [found]
                place += 1
        return words

    def _known(self, words: list[str]) -> list[int]:
        found = (self._id(word) for word in words)
        return [number for number in found if number is not None]

    def _id(self, word: str) -> int | None:
        lower = word.lower()
        bare = lower.strip(string.punctuation)
        for spelling in (word, lower, bare):
            if spelling in self._stops:
                return None
            if spelling in self._ids and (spelling or spelling is not bare):
                return self._ids[spelling]
        return None
