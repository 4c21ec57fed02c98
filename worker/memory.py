"""How this process keeps memory that it will need again. Knows glibc; with another C library nothing is changed."""

import ctypes

_MIB = 1 << 20
#: Numbers of malloc.h and what they are set to. 32 MiB is the largest threshold that glibc heeds; and only in its
#: first arena are freed blocks kept whatever their size, so the engine's thread shall have no other.
_OPTIONS = {
    "M_TRIM_THRESHOLD": (-1, 1024 * _MIB),
    "M_TOP_PAD": (-2, 64 * _MIB),
    "M_MMAP_THRESHOLD": (-3, 32 * _MIB),
    "M_ARENA_MAX": (-8, 1),
}


def keep_freed_memory() -> None:
    """Let freed memory stay with the process, up to 1 GiB. To be called before other threads begin.

    The activations of a batch are some dozen blocks of several MiB. Left alone, glibc may hand some of them back to
    the kernel when they are freed, and a later batch faults them in again, page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for number, value in _OPTIONS.values():
            mallopt(number, value)
