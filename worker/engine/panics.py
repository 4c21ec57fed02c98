"""Panics of Rust code below Python (tokenizers, safetensors): no `except Exception` sees them, so they are renamed."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import VecmillError


class Panicked(VecmillError):
    """Rust code gave up on what it was given; the process goes on."""


@contextmanager
def panics_told(who: str) -> Iterator[None]:
    """Raise `Panicked` for a panic in the block."""
    try:
        yield
    except BaseException as cause:
        # The class is made by each extension module for itself, and none of them exports it.
        if type(cause).__name__ != "PanicException":
            raise
        # Its words may quote a text.
        raise Panicked(f"{who} panicked: a fault of its Rust code, or of what it was given") from None
