"""What to say of files that are no source: what they are, and how their texts become one. Opens no file."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from producer.source.delta import LOG_FOLDER
from producer.source.file import EXTENSIONS, format_of, readable
from producer.source.tree import tree_of
from schemas.errors import SourceError
from schemas.nearest import meant

_SHEETS = "a spreadsheet: save it as CSV"
_DOCUMENTS = 'a document: put its text into a .jsonl first, {"id": ..., "text": ...} a line'
_ARCHIVES = "an archive: unpack it, and name the folder"
_PICKLES = "a pickle, which can run code when it is read: write its texts as Parquet or .jsonl"
_INSTEAD = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), _SHEETS),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pdf", ".html", ".htm", ".epub", ".pptx", ".xml"), _DOCUMENTS),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), _ARCHIVES),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".npy"), _PICKLES),
    ".md": "text of many lines: --format txt takes each line as a text; else put it into a .jsonl",
}
JSON_ARRAY = "jq -c '.[]' {path} > rows.jsonl makes a line of each"


def no_such(path: str) -> SourceError:
    """Nothing lies there."""
    folder, name = os.path.split(path)
    try:
        beside = tree_of(path).names(folder)
    except OSError:
        return SourceError(f"there is no folder {folder}, so no {name} in it", way_out="check the path")
    return SourceError(
        f"there is no file or folder {path}",
        way_out=meant(name, beside, "check the path; quote a glob; a table's version is table@3"),
    )


def no_format(path: str) -> SourceError:
    """A file was named that no reader knows by its extension."""
    kind = Path(path).suffix.lower()
    if kind == ".json":
        way_out = f"with an object a line: --format jsonl; where it is one array, {JSON_ARRAY.format(path=path)}"
        return SourceError(f"cannot tell how {path} is laid out", way_out=way_out)
    if kind in _INSTEAD:
        return SourceError(f"{path} cannot be read: it is {_INSTEAD[kind].partition(': ')[0]}", way_out=_told(kind))
    return SourceError(f"cannot tell the format of {path}", way_out=f"say it: --format {', '.join(_FORMATS)}")


def no_rows(paths: Iterable[str]) -> SourceError:
    """Files that hold nothing to embed."""
    return SourceError(
        f"there are no rows in {', '.join(paths)}", way_out="check that what wrote it has ended, and where it writes"
    )


def no_files(paths: Iterable[str]) -> SourceError:
    """Folders and globs of which no file is read: what they hold is counted."""
    for path in paths:
        if tree_of(path).is_folder(path):
            kinds = _kinds(path)
            held = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "no files"
            way_out = _told(kinds.most_common(1)[0][0]) if kinds else "check the path"
            return SourceError(f"no files to read in {path}: it holds {held}", way_out=way_out)
    return SourceError(
        f"no files to read in {', '.join(paths)}: nothing matches, or only names that begin with _ or .",
        way_out=f"check the path, and quote a glob; read are {readable()}",
    )


_FORMATS = tuple(dict.fromkeys(EXTENSIONS.values()))


def passed_over(paths: Iterable[str]) -> str:
    """What lies in folders beside the files that are read, counted by kind; empty where there is nothing else."""
    kinds = sum((_kinds(path) for path in paths if tree_of(path).is_folder(path)), Counter())
    unread = {kind: count for kind, count in kinds.most_common() if format_of(f"_{kind}") is None}
    return ", ".join(f"{count} {kind}" for kind, count in list(unread.items())[:5])


def _kinds(folder: str) -> Counter[str]:
    """The extensions of the files below, but not of hidden ones and of those of a Delta table."""
    found: Counter[str] = Counter()
    for _, folders, names in tree_of(folder).walk(folder):
        if LOG_FOLDER in folders:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] not in "_."]
        shown = (Path(name) for name in names if name[0] not in "_.")
        found.update("".join(path.suffixes[-2:]).lower() or "without an extension" for path in shown)
    return found


def _told(kind: str) -> str:
    return _INSTEAD[kind].partition(": ")[2] if kind in _INSTEAD else f"read are {readable()}"
