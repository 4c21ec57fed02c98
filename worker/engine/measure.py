"""How many tokens some texts have, and how many a second this device encodes: for those who ask before they pay."""

import time
from typing import Any

import numpy as np

from worker.engine.embedder import Embedder
from worker.engine.tokens import Tokens

_FEWEST_SECONDS = 0.5
#: Texts that are encoded between two looks at the clock; in a batch, they have neighbours of like length.
_AT_ONCE = 128
_WARM_UP = 8


def measure(embedder: Embedder, texts: list[str], *, seconds: float) -> dict[str, Any]:
    """Tokens of each text, as the model reads it, and whose end it does not read; then encode for some seconds.

    Less than `seconds` where all have been encoded before.
    `tokens_per_second` is what one process does, tokenizing counted where the same cores have to do it.
    """
    began = time.perf_counter()
    tokens = embedder.tokens(texts)
    tokenize_seconds = time.perf_counter() - began
    encoded, encode_seconds = _encode(embedder, tokens, seconds)
    tokenize_share = tokenize_seconds * encoded / max(int(tokens.lengths.sum()), 1)
    spent = encode_seconds + tokenize_share if embedder.device.type == "cpu" else max(encode_seconds, tokenize_share)
    described = embedder.describe()
    return {
        "tokens": tokens.lengths.tolist(),
        "truncated": tokens.truncated.tolist(),
        "tokens_per_second": encoded / spent if encoded else None,
        "device": described["device"],
        "dtype": described.get("dtype", "float32"),
    }


def _encode(embedder: Embedder, tokens: Tokens, seconds: float) -> tuple[int, float]:
    """How many tokens were encoded, and in what time; some of them once more if there are few."""
    rows = np.random.default_rng(7).permutation(np.flatnonzero(tokens.costs))
    if len(rows) == 0:
        return 0, 0.0
    embedder.encode(_some(tokens, rows[:_WARM_UP]))
    encoded, at, began = 0, 0, time.perf_counter()
    enough = seconds
    while (spent := time.perf_counter() - began) < enough:
        piece = _some(tokens, rows[at : at + _AT_ONCE])
        embedder.encode(piece)
        encoded += int(piece.lengths.sum())
        at += _AT_ONCE
        if at >= len(rows):
            at, enough = 0, min(seconds, _FEWEST_SECONDS)
    return encoded, spent


def _some(tokens: Tokens, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Tokens:
    ids, offsets = tokens.take(rows)
    return Tokens(ids, offsets, tokens.truncated[rows], tokens.may_be_empty)
