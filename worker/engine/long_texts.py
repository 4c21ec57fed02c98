"""The head of a very long text that decides its first tokens, so that a tokenizer's work is bounded.

Cut only before a space, and only for tokenizers that look at pieces of a text and, when tried, at none with a space
inside.
"""

from itertools import product
from typing import Any

#: Characters kept per token that a model reads: far beyond what a token has in any language.
CHARS_PER_TOKEN = 64
_ENDS = (
    "word",
    "Wörter 12",
    "x.",
    "(a)",
    "3.5",
    "don't",
    "漢字",
    "é",
    "a-b_",
    "a  b",
    "http://x.y/z?q=1",
    "#!",
    "line\n",
)
_BEGINNINGS = ("word", "Word", "7", ".", "  two", "漢字", "\u0301", "'s", "\n", "_", "-")


def head(text: str, most_chars: int) -> str:
    """`text` up to its first space at or behind `most_chars` that follows no other; all of it where there is none."""
    place = text.find(" ", most_chars)
    while place > 0 and text[place - 1].isspace():
        place = text.find(" ", place + 1)
    return text if place < 0 else text[:place]


def splits_at_spaces(backend: Any) -> bool:
    """Whether what stands before a space is tokenized the same, whatever follows; `backend` may not truncate."""
    if backend.pre_tokenizer is None:
        return False
    pairs = [(end, f"{end} {beginning}") for end, beginning in product(_ENDS, _BEGINNINGS)]
    alone = backend.encode_batch_fast([f"two words {end}" for end, _ in pairs], add_special_tokens=False)
    whole = backend.encode_batch_fast([f"two words {both}" for _, both in pairs], add_special_tokens=False)
    return all(both.ids[: len(one.ids)] == one.ids for one, both in zip(alone, whole, strict=True))
