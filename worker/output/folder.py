"""Files of a table, each written once and whole. Knows a local disk, nothing of what is written.

An object store comes in as a second class with the same three methods: there one put is atomic by itself.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO


class LocalFolder:
    """A table's folder on a disk of this machine, or one mounted here."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, name: str) -> str:
        """Where a file of the table is."""
        return os.path.join(self.root, name)

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """A stream whose bytes appear under `name` when all of them are on the disk, and not at all before."""
        folder, last = os.path.split(self.path(name))
        _make_folders(folder)
        temporary = os.path.join(folder, f".{last}.{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self.path(name))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _flush_folder(folder)

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))


def _make_folders(folder: str) -> None:
    """Make a folder and those above it, each of them flushed: a part must not be lost with its folder."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    if parent:
        _make_folders(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    _flush_folder(parent or ".")


def _flush_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
