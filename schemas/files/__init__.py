"""The files of a table, on a disk or in an object store: opened, written whole, listed, taken away.

Every function takes a whole address, a path or `s3://bucket/key`, and the address alone says which of the two it is.
Knows nothing of what is in the files.
"""

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import pyarrow as pa

from schemas.files.address import is_remote
from schemas.files.disk import Disk


class Files(Protocol):
    """What both kinds of place can do; `Disk` and `Buckets` keep the same laws (tests/integration/test_files.py)."""

    def open(self, address: str) -> pa.NativeFile:
        """A file to read anywhere in; raises `FileNotFoundError`."""

    def read(self, address: str) -> bytes | None:
        """All of a small file; None where there is none."""

    def write(self, address: str, *, once: bool = False) -> AbstractContextManager[BinaryIO]:
        """A stream whose bytes appear when all of them are durable, and not at all before.

        With `once`, raises `FileExistsError` at its end where the file is there by then, and leaves that as it is.
        """

    def remove(self, address: str) -> None:
        """Take a file away, if it is there."""

    def remove_folder(self, address: str) -> None:
        """Take away what is below, and the folders above that hold nothing then."""

    def names(self, address: str) -> list[str]:
        """The names of files and folders directly below, in no order; none where there is no such folder."""


def _files(address: str) -> Files:
    if not is_remote(address):
        return Disk()
    # Who never names a bucket need not load the client.
    from schemas.files.bucket import Buckets

    return Buckets()


def opened(address: str) -> pa.NativeFile:
    """A file to read anywhere in; raises `FileNotFoundError`."""
    return _files(address).open(address)


def read_bytes(address: str) -> bytes | None:
    """All of a small file; None where there is none."""
    return _files(address).read(address)


def written(address: str, *, once: bool = False) -> AbstractContextManager[BinaryIO]:
    """A stream whose bytes appear under the address whole or not at all; see `Files.write`."""
    return _files(address).write(address, once=once)


def remove(address: str) -> None:
    """Take a file away, if it is there."""
    _files(address).remove(address)


def remove_folder(address: str) -> None:
    """Take away what is below, and the folders above that hold nothing then."""
    _files(address).remove_folder(address)


def names_in(address: str) -> list[str]:
    """The names of files and folders directly below, in no order; none where there is no such folder."""
    return _files(address).names(address)


def size_of(address: str) -> int:
    """The bytes of a file; raises `FileNotFoundError`."""
    with opened(address) as file:
        return int(file.size())
