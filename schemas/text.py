"""How a text is recognised again, since both sides compare these hashes; and one that shows what a model does."""

import hashlib

#: The text that `inspect` follows where none is given.
EXAMPLE = "The mill grinds grain."


def text_hash(text: str) -> bytes:
    """16 bytes that name exactly this text, without any prompt."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
