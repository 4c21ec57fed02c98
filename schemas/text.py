"""What a text is, how one is known again (both sides compare these hashes), and one that shows what a model does."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from schemas.errors import UsageError

#: The text that `inspect` follows where none is given.
EXAMPLE = "The mill grinds grain."


class Span(NamedTuple):
    """A piece of a text, in characters; the end is exclusive."""

    start: int
    end: int


def text_hash(text: str) -> bytes:
    """16 bytes that name exactly this text, without any prompt."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def check_texts(texts: Sequence[str]) -> None:
    """Raise `UsageError` that names the place and the type of the first value that is no text."""
    if isinstance(texts, str | bytes):
        raise UsageError("one text where a list of texts belongs", way_out="[text]")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise UsageError(f"text {place} is of type {type(text).__name__}, not str", way_out="leave it out")
        if not (text.isascii() or is_unicode(text)):
            raise UsageError(
                f"text {place} holds half of a surrogate pair, which is no character",
                way_out="text.encode('utf-8', 'replace').decode()",
            )


def is_unicode(text: str) -> bool:
    """Whether a text can be written down: Python's may hold halves of surrogate pairs, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
