"""Tokens of many texts where some of them cannot be tokenized: those fail, and their neighbours do not."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from schemas.errors import VecmillError
from schemas.text import EXAMPLE
from worker.engine.panics import panics_told
from worker.engine.tokens import Tokens, offsets_of


class HasTokens(Protocol):
    """What is needed of an embedder."""

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """The texts as the engine takes them."""


def tokens_of_each(embedder: HasTokens, texts: Sequence[str]) -> tuple[Tokens, dict[int, str]]:
    """The tokens of all texts, none for those that cannot be tokenized, and by their places why not.

    Raises what the tokenizer raises where it fails at a harmless text, too: then no text is at fault.
    """
    try:
        return _tokens(embedder, texts), {}
    except Exception:
        _tokens(embedder, [EXAMPLE])
    failures: dict[int, str] = {}
    pieces = [_piece(embedder, texts, begin, failures) for begin in range(len(texts))]
    lengths = np.concatenate([piece.lengths for piece in pieces])
    return Tokens(
        ids=np.concatenate([piece.ids for piece in pieces]),
        offsets=offsets_of(lengths),
        truncated=np.concatenate([piece.truncated for piece in pieces]),
        may_be_empty=any(piece.may_be_empty for piece in pieces),
    ), failures


def _piece(embedder: HasTokens, texts: Sequence[str], place: int, failures: dict[int, str]) -> Tokens:
    try:
        return _tokens(embedder, [texts[place]])
    except Exception as error:
        # An error's own words may quote the text.
        failures[place] = str(error) if isinstance(error, VecmillError) else type(error).__name__
        return Tokens(np.zeros(0, np.int32), offsets_of(np.zeros(1, np.int64)), np.zeros(1, np.bool_))


def _tokens(embedder: HasTokens, texts: Sequence[str]) -> Tokens:
    with panics_told("the tokenizer"):
        return embedder.tokens(texts)
