"""Files on a disk of this machine, or one mounted here."""

import contextlib
import os
import shutil
from contextlib import AbstractContextManager
from typing import BinaryIO

import pyarrow as pa

from schemas.durable import written
from schemas.errors import TableError
from schemas.special_file import special


class Disk:
    """Files by their paths."""

    def open(self, address: str) -> pa.NativeFile:
        """A file to read anywhere in."""
        _check_file(address)
        return pa.OSFile(address)

    def read(self, address: str) -> bytes | None:
        """All of a small file."""
        _check_file(address)
        try:
            with open(address, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, address: str, *, once: bool = False) -> AbstractContextManager[BinaryIO]:
        """Through a temporary name."""
        return written(address, once=once)

    def remove(self, address: str) -> None:
        """Take a file away."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)

    def remove_folder(self, address: str) -> None:
        """Take away a folder, and those above it that are empty then."""
        shutil.rmtree(address, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.removedirs(os.path.dirname(address))

    def names(self, address: str) -> list[str]:
        """Temporary names, too."""
        try:
            return os.listdir(address)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _check_file(address: str) -> None:
    if found := special(address):
        raise TableError(f"{address} is {found}, not a file", way_out="take it away")
