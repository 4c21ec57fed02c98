"""The texts: docstrings as they are, and pieces of them of exactly 21 and 80 tokens."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from benchmarks.docstrings import docstring_table, docstrings

#: [CLS] and [SEP].
_SPECIAL = 2
#: The tokens of each text, or nothing for docstrings as they are; and how many texts, so that each takes about as long.
CORPORA: dict[str, tuple[int | None, int]] = {"docstrings": (None, 2_000), "21": (21, 4_000), "80": (80, 1_000)}


def write_corpus(path: Path, name: str, model: str, scale: float) -> int:
    """A Parquet file with `id` and `text`; the number of its rows."""
    tokens, texts = CORPORA[name]
    limit = max(round(texts * scale), 1)
    if tokens is None:
        table = docstring_table(limit).select(["id", "text"])
    else:
        rows = list(islice(pieces(tokens, Path(model) / "tokenizer.json"), limit))
        table = pa.table({"id": [row[0] for row in rows], "text": [row[1] for row in rows]})
    pq.write_table(table, path)
    return len(table)


def pieces(tokens: int, tokenizer_file: Path) -> Iterator[tuple[str, str]]:
    """The beginnings of docstrings that have exactly so many tokens; no text comes twice."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    seen: set[str] = set()
    for name, text, _ in docstrings():
        ends = tokenizer.encode(text, add_special_tokens=False).offsets
        if len(ends) < tokens - _SPECIAL:
            continue
        piece = text[: ends[tokens - _SPECIAL - 1][1]]
        # A piece that is cut within a word can have other tokens than the whole had.
        if piece not in seen and len(tokenizer.encode(piece)) == tokens:
            seen.add(piece)
            yield name, piece
