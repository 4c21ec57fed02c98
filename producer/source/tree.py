"""Folders and the files in them, on a disk or in an object store: asked in the same words. Opens no file."""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from producer.source.dataset import is_dataset
from schemas.errors import SourceError
from schemas.files.address import is_remote
from schemas.files.stored import StoredFile
from schemas.special_file import special

#: A folder with the names of the folders and of the files in it, as `os.walk` gives them.
Level = tuple[str, list[str], list[str]]


class Tree(Protocol):
    """What both can be asked; a path is whole, an address in a store."""

    def is_file(self, path: str) -> bool:
        """Whether it is a file, or what is neither file nor folder."""

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder; in a store, whether anything is below."""

    def names(self, folder: str) -> list[str]:
        """What is in a folder; raises `OSError` where there is none."""

    def walk(self, folder: str) -> Iterator[Level]:
        """A folder and those below; names of folders that are taken out of a level are not gone into."""

    def matching(self, pattern: str) -> list[str]:
        """The files and folders that a glob matches, sorted."""

    def fixed(self, pattern: str) -> str:
        """The folder before a glob's first wildcard."""

    def stored(self, path: str) -> StoredFile | None:
        """What a store says of one of its files; None on a disk."""


def tree_of(path: str) -> Tree:
    """Where a path is to be looked for; a `SourceError` where it cannot be meant. One tree asks a store once."""
    if not is_remote(path) or is_dataset(path):
        return Disk()
    # Who never names a bucket need not load the client.
    from producer.source.bucket import Bucket
    from schemas.files.client import bucket_of

    bucket_of(path)
    return Bucket()


class Disk:
    """What this machine has, or has mounted."""

    def is_file(self, path: str) -> bool:
        """As the system says."""
        return os.path.isfile(path) or special(path) != ""

    def is_folder(self, path: str) -> bool:
        """As the system says."""
        return os.path.isdir(path)

    def names(self, folder: str) -> list[str]:
        """As the system says."""
        return os.listdir(folder or ".")

    def walk(self, folder: str) -> Iterator[Level]:
        """Raises `SourceError` where a folder may not be read."""
        return os.walk(folder, onerror=_unreadable)

    def matching(self, pattern: str) -> list[str]:
        """As Python's glob has it."""
        return sorted(glob.glob(pattern, recursive=True))

    def fixed(self, pattern: str) -> str:
        """Relative where the glob is."""
        fixed = before_wildcard(Path(pattern).parts)
        return os.path.join(*fixed) if fixed else "."

    def stored(self, path: str) -> StoredFile | None:
        """Never."""
        return None


def before_wildcard(parts: Iterable[str]) -> list[str]:
    """The parts of a glob that stand before its first wildcard."""
    return list(itertools.takewhile(lambda part: not glob.has_magic(part), parts))


def _unreadable(error: OSError) -> None:
    raise SourceError(f"cannot list {error.filename}: {error.strerror}") from error
