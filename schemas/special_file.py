"""What lies where a file is expected, but would keep its reader waiting for ever, or never end."""

import os
import stat

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special(path: str | os.PathLike[str]) -> str:
    """What is there in words, where it is neither a file nor a folder; "" for these, and where nothing is."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # not there, not to be looked at, a NUL: opening it says so
        return ""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "")
