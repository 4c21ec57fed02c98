"""One file of a source, and what its name says of it: its format, and how it is compressed. Opens no file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from schemas.files.stored import StoredFile

FileFormat = Literal["parquet", "jsonl", "csv", "txt", "arrow"]
Compression = Literal["gzip", "zstd"]

EXTENSIONS: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "txt",
    ".arrow": "arrow",
}
COMPRESSED: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
#: The others compress by themselves, and are read from places inside them.
_LINES: frozenset[FileFormat] = frozenset({"jsonl", "csv", "txt"})


@dataclass(frozen=True, slots=True)
class InTable:
    """What the log of a Delta table says of one of its files: all columns of the version, and the values of those
    that it is partitioned by, which are in no file.
    """

    schema: pa.Schema
    values: dict[str, pa.Scalar]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file. `name` is its path inside the folder or glob that was given; row numbers are appended to it.

    `stored` is what the store says of it where its path is an address.
    """

    path: str
    name: str
    format: FileFormat
    compression: Compression | None = None
    table: InTable | None = field(default=None, compare=False)
    stored: StoredFile | None = field(default=None, compare=False)


def compression_of(path: str) -> Compression | None:
    """By the last extension."""
    return COMPRESSED.get(Path(path).suffix.lower())


def format_of(path: str) -> FileFormat | None:
    """By the extension before that of the compression; None where no reader knows it."""
    compressed = compression_of(path) is not None
    found = EXTENSIONS.get(Path(Path(path).stem if compressed else path).suffix.lower())
    return None if compressed and found not in _LINES else found


def readable() -> str:
    """The extensions that are read, for a message."""
    return f"{', '.join(EXTENSIONS)}, and lines also with {', '.join(COMPRESSED)}"
