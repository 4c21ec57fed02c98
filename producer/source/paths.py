"""From what the user typed to a sorted list of files: files, folders, globs and Delta tables. Opens no file."""

import glob
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from producer.source.dataset import arrow_files, is_dataset
from producer.source.delta import LOG_FOLDER, TablePath, delta_files, table_path
from producer.source.file import FileFormat, SourceFile, compression_of, format_of
from producer.source.refusal import no_files, no_format, no_such
from producer.source.tree import Tree, tree_of
from schemas.errors import SourceError
from schemas.run import SourceFormat
from schemas.special_file import special
from schemas.text import is_unicode

#: Beside it, `datasets` keeps the results of old `map` and `filter` calls: the same rows once more.
_DATASET_NOTE, _DATASET_CACHE = "dataset_info.json", "cache-"


def list_files(paths: tuple[str, ...], format_: SourceFormat) -> list[SourceFile]:
    """Every file of the source, sorted, so that any two readings number the rows alike."""
    files = sorted((file for path in paths for file in _expand(path, format_)), key=lambda file: (file.name, file.path))
    for file in files:
        if not is_unicode(file.path):
            raise SourceError(f"the name {file.path!r} is not valid UTF-8, and could be in no id", way_out="rename it")
        if found := special(file.path):
            raise SourceError(
                f"{file.path} is {found}, not a file",
                way_out="write it to a file first: a source is read more than once",
            )
    if not files:
        raise no_files(paths)
    twice = [path for path, count in Counter(os.path.realpath(file.path) for file in files).items() if count > 1]
    if twice:
        raise SourceError(f"{twice[0]} is given twice", way_out="name each file once, or only the folder")
    return files


def _expand(path: str, format_: SourceFormat) -> Iterator[SourceFile]:
    """The files of one argument; an existing file wins over its reading as a table's version or a glob."""
    tree, table = tree_of(path), table_path(path)
    if is_dataset(path):
        for file in arrow_files(path):
            yield _file(tree, file, os.path.basename(file), _format_of(file, format_))
    elif table is not None:
        yield from _table(table, table.folder, format_)
    elif tree.is_file(path):
        yield _file(tree, path, os.path.basename(path), _format_of(path, format_))
    elif tree.is_folder(path):
        yield from _folder(tree, path, path, format_)
    elif glob.has_magic(path):
        yield from _matching(tree, path, format_)
    else:
        raise no_such(path)


def _matching(tree: Tree, pattern: str, format_: SourceFormat) -> Iterator[SourceFile]:
    """The files that a glob matches, and those below the folders that it matches; hidden ones are no data."""
    fixed = tree.fixed(pattern)
    for match in tree.matching(pattern):
        name = os.path.relpath(match, fixed)
        if _hidden(name):
            continue
        if tree.is_file(match):
            yield _file(tree, match, name, _format_of(match, format_))
        elif "**" not in pattern:
            yield from _folder(tree, match, fixed, format_)


def _folder(tree: Tree, folder: str, root: str, format_: SourceFormat) -> Iterator[SourceFile]:
    """The files below a folder that have a known extension; what begins with `_` or `.` is not data."""
    for parent, folders, names in tree.walk(folder):
        if LOG_FOLDER in folders:
            # Its folder also holds files that no longer belong to it.
            folders.clear()
            yield from _table(TablePath(parent, None), root, format_)
            continue
        folders[:] = sorted(name for name in folders if name[0] not in "_.")
        for name in sorted(names):
            found = format_of(name)
            old = name.startswith(_DATASET_CACHE) and _DATASET_NOTE in names
            if name[0] not in "_." and found and format_ in ("auto", found) and not old:
                path = os.path.join(parent, name)
                yield _file(tree, path, os.path.relpath(path, root), found)


def _table(table: TablePath, root: str, format_: SourceFormat) -> Iterator[SourceFile]:
    if format_ not in ("auto", "parquet"):
        raise SourceError(f"{table.folder} is a Delta table, its files are Parquet", way_out="leave --format out")
    yield from delta_files(table, root)


def _file(tree: Tree, path: str, name: str, format_: FileFormat) -> SourceFile:
    return SourceFile(path, name, format_, compression_of(path), stored=tree.stored(path))


def _hidden(name: str) -> bool:
    return any(part[0] in "_." and part not in (".", "..") for part in Path(name).parts)


def _format_of(path: str, format_: SourceFormat) -> FileFormat:
    """The format of a file that was named: as given, else by its extension."""
    found = format_of(path) if format_ == "auto" else format_
    if found is None:
        raise no_format(path)
    return found
