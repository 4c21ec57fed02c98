"""The files of a source in an object store: found by listing, never by reading."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from producer.source.tree import Level, before_wildcard
from schemas.files.objects import below, found
from schemas.files.stored import StoredFile


class Bucket:
    """What a bucket has; a folder is what keys have in common before a slash."""

    def __init__(self) -> None:
        self._seen: dict[str, StoredFile] = {}

    def is_file(self, path: str) -> bool:
        """One request."""
        return self.stored(path) is not None

    def is_folder(self, path: str) -> bool:
        """One request."""
        return next(below(path), None) is not None

    def names(self, folder: str) -> list[str]:
        """Of the first thousand files below."""
        listed = zip(below(folder), range(1_000), strict=False)
        names = list(dict.fromkeys(file.address.removeprefix(f"{folder}/").split("/")[0] for file, _ in listed))
        if not names:
            raise FileNotFoundError(folder)
        return names

    def walk(self, folder: str) -> Iterator[Level]:
        """One listing of all that is below."""
        levels: dict[str, tuple[dict[str, None], list[str]]] = {folder: ({}, [])}
        for file in self._below(folder):
            parent = folder
            *folders, name = file.address.removeprefix(f"{folder}/").split("/")
            for one in folders:
                levels[parent][0][one] = None
                parent = f"{parent}/{one}"
                levels.setdefault(parent, ({}, []))
            levels[parent][1].append(name)
        waiting = [folder]
        while waiting:
            parent = waiting.pop()
            inner, names = list(levels[parent][0]), levels[parent][1]
            yield parent, inner, names
            waiting += [f"{parent}/{one}" for one in reversed(inner)]

    def matching(self, pattern: str) -> list[str]:
        """As on a disk: `*` stays within a name, `**` does not."""
        fixed, wanted = self.fixed(pattern), pattern.rstrip("/").split("/")
        paths: set[str] = set()
        for file in self._below(fixed):
            parts = file.address.split("/")
            paths.update("/".join(parts[:end]) for end in range(fixed.count("/") + 2, len(parts) + 1))
        return sorted(path for path in paths if _matches(path.split("/"), wanted))

    def fixed(self, pattern: str) -> str:
        """The bucket at least."""
        return "/".join(before_wildcard(pattern.split("/")))

    def stored(self, path: str) -> StoredFile | None:
        """As it was listed, else by a request."""
        if path not in self._seen and (file := found(path)) is not None:
            self._seen[path] = file
        return self._seen.get(path)

    def _below(self, folder: str) -> Iterator[StoredFile]:
        for file in below(folder):
            self._seen[file.address] = file
            yield file


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[gone:], wanted[1:]) for gone in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])
