"""From what the user typed to a sorted list of files: files, folders and globs. Opens no file.

Local files now. An object store comes in here: list its keys into `SourceFile`s, and give the readers
a `pyarrow.fs` stream in place of a path.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas.errors import SourceError
from schemas.run import SourceFormat

FileFormat = Literal["parquet", "jsonl", "csv", "txt"]

EXTENSIONS: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".txt": "txt",
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file. `name` is its path inside the folder or glob that was given; row numbers are appended to it."""

    path: str
    name: str
    format: FileFormat


def list_files(paths: tuple[str, ...], format_: SourceFormat) -> list[SourceFile]:
    """Every file of the source, sorted, so that any two readings number the rows alike."""
    files = sorted((file for path in paths for file in _expand(path, format_)), key=lambda file: (file.name, file.path))
    if not files:
        raise SourceError(
            f"no files to read in {', '.join(paths)}",
            way_out=f"read are {', '.join(EXTENSIONS)}; names that begin with _ or . are left out",
        )
    twice = [path for path, count in Counter(os.path.realpath(file.path) for file in files).items() if count > 1]
    if twice:
        raise SourceError(f"{twice[0]} is given twice", way_out="name each file once, or only the folder")
    return files


def _expand(path: str, format_: SourceFormat) -> Iterator[SourceFile]:
    """The files of one argument; an existing file wins over its reading as a glob."""
    if "://" in path:
        raise SourceError(
            f"cannot read {path}: sources are local files for now", way_out="copy or mount it, give the path"
        )
    if os.path.isfile(path):
        yield SourceFile(path, os.path.basename(path), _format_of(path, format_))
    elif os.path.isdir(path):
        yield from _folder(path, path, format_)
    elif glob.has_magic(path):
        prefix = _fixed_prefix(path)
        for match in sorted(glob.glob(path, recursive=True)):
            if os.path.isdir(match):
                if "**" not in path:
                    yield from _folder(match, prefix, format_)
            elif not _hidden(os.path.relpath(match, prefix)):
                yield SourceFile(match, os.path.relpath(match, prefix), _format_of(match, format_))
    else:
        raise SourceError(f"there is no file or folder {path}", way_out="check the path; quote a glob")


def _folder(folder: str, root: str, format_: SourceFormat) -> Iterator[SourceFile]:
    """The files below a folder that have a known extension; what begins with `_` or `.` is not data."""
    if os.path.isdir(os.path.join(folder, "_delta_log")):
        raise SourceError(
            f"{folder} is a Delta table: its folder also holds files that no longer belong to it",
            way_out="export the version you mean to Parquet, or give its files as a glob",
        )
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if name[0] not in "_.")
        for name in sorted(names):
            found = EXTENSIONS.get(Path(name).suffix.lower())
            if name[0] not in "_." and found and format_ in ("auto", found):
                path = os.path.join(parent, name)
                yield SourceFile(path, os.path.relpath(path, root), found)


def _hidden(name: str) -> bool:
    return any(part[0] in "_." and part != ".." for part in Path(name).parts)


def _format_of(path: str, format_: SourceFormat) -> FileFormat:
    """The format of a file that was named: as given, else by its extension."""
    if format_ != "auto":
        return format_
    found = EXTENSIONS.get(Path(path).suffix.lower())
    if found is None:
        raise SourceError(f"cannot tell the format of {path}", way_out="say it: --format parquet, jsonl, csv or txt")
    return found


def _fixed_prefix(pattern: str) -> str:
    """The folder before a glob's first wildcard."""
    fixed = []
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed) if fixed else "."


def _unreadable(error: OSError) -> None:
    raise SourceError(f"cannot list {error.filename}: {error.strerror}") from error
