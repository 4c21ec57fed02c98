"""What stands between the fields of a CSV file: what its header line says. Reads nothing but its beginning."""

import csv
import io
from pathlib import Path

from producer.source.file import SourceFile
from producer.source.streams import opened

#: A comma where it makes columns of the header; else what spreadsheets write where the comma is in numbers, and others.
_SEPARATORS = ",;\t|"
_HEAD_BYTES = 1 << 16


def separator_of(file: SourceFile) -> str:
    """The first that makes more than one column of the header; a comma where none does."""
    with opened(file) as stream:
        head = stream.read(_HEAD_BYTES).decode(errors="replace")
    order = "\t" + _SEPARATORS if ".tsv" in Path(file.path).suffixes else _SEPARATORS
    return next((one for one in order if _columns(head, one) > 1), ",")


def _columns(head: str, separator: str) -> int:
    try:
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=separator, strict=True)
        return next((len(row) for row in rows if row), 0)
    except csv.Error:
        return 0
