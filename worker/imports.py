"""How what a process needs all its life is read: without a break to look for garbage in it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """What is made in the block is no garbage, now or later: going through it takes 0.6 s of the 5 of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
