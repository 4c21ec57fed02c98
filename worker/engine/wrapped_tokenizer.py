"""A tokenizer of transformers in front of word embeddings: all its tokens, the special ones too, then a plain cut.

A text's end is cut off as it is, so unlike in front of a network its last special token goes too.
"""

from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from schemas.errors import ModelError
from worker.engine.tokenizer import Tokenizer
from worker.engine.tokens import Tokens
from worker.engine.word_tokenizer import tokens_of


class WrappedTokenizer:
    """The tokenizer in the folder of a WordEmbeddings module."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int | None) -> None:
        self._whole = tokenizer
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, place: Path, max_tokens: int | None) -> "WrappedTokenizer":
        """The tokenizer as it was saved; code of its own is never run, as in the oracle."""
        try:
            return cls(Tokenizer(AutoTokenizer.from_pretrained(str(place), trust_remote_code=False), None), max_tokens)
        except (OSError, ValueError, KeyError, ImportError) as cause:
            raise ModelError(f"the tokenizer of {place} cannot be loaded: {cause}") from cause

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of `prompt + text` of every text."""
        return tokens_of(self._whole(texts, prompt=prompt).lists(), self.max_tokens)

    def prompt_length(self, _prompt: str) -> int:
        """0: the oracle counts a prompt's tokens like all others."""
        return 0
