"""Who runs this, for messages and for the history."""

import getpass
import os


def user_name() -> str:
    """The user's name, or number where a container knows no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
