"""Files of a table, each written once and whole. Knows a local disk, nothing of what is written.

An object store comes in as a second class with the same three methods: there one put is atomic by itself.
"""

import contextlib
import os
from contextlib import AbstractContextManager
from typing import BinaryIO

from schemas.durable import written


class LocalFolder:
    """A table's folder on a disk of this machine, or one mounted here."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, name: str) -> str:
        """Where a file of the table is."""
        return os.path.join(self.root, name)

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A stream whose bytes appear under `name` when all of them are on the disk, and not at all before."""
        return written(self.path(name))

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))
