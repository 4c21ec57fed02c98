"""A Parquet corpus of any size: sentences of about 20 tokens out of docstrings, repeated with a number.

The same installation gives the same corpus; no two texts and no two ids are alike.
"""

import itertools
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.docstrings import docstrings

_PIECE_ROWS = 100_000
_SHORTEST, _LONGEST = 12, 22
#: So many are looked for, more than a job has rows; they are repeated after that.
_SENTENCES = 5_000


def sentences(limit: int) -> list[str]:
    """Up to so many sentences of 12 to 22 words, which most tokenizers make 15 to 35 tokens of."""
    found = (
        " ".join(words)
        for _, text, _ in docstrings()
        for sentence in re.split(r"(?<=[.!?])\s+", text)
        if _SHORTEST <= len(words := sentence.split()) <= _LONGEST
    )
    return list(itertools.islice(dict.fromkeys(found), limit))


def write_sentences(path: Path, rows: int) -> Path:
    """A Parquet file of so many rows: `id` and `text`."""
    some = sentences(min(rows, _SENTENCES))
    with pq.ParquetWriter(path, pa.schema([("id", pa.string()), ("text", pa.string())])) as writer:
        for start in range(0, rows, _PIECE_ROWS):
            numbers = range(start, min(start + _PIECE_ROWS, rows))
            ids = [f"doc-{number:010d}" for number in numbers]
            texts = [f"{some[number % len(some)]} {number}" for number in numbers]
            writer.write_table(pa.table({"id": ids, "text": texts}))
    return path
