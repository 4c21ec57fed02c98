"""The corpora of a chaos run: a first one, and the same with some rows changed and some new."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: So that a run is 48 jobs of 256 rows.
ROWS = 12_288
#: How many of its rows the second corpus changes, and how many it adds: 40 jobs.
CHANGED, NEW = 8_192, 2_048

Corpus = dict[str, str]


def first(seed: int) -> Corpus:
    """Texts by id."""
    return {f"doc-{at}": f"text {at} of seed {seed}" for at in range(ROWS)}


def second(seed: int) -> Corpus:
    """The first corpus, later: every id of it is still there."""
    changed = {f"doc-{at}": f"another text {at} of seed {seed}" for at in range(CHANGED)}
    new = {f"new-{at}": f"new text {at} of seed {seed}" for at in range(NEW)}
    return first(seed) | changed | new


def write(corpus: Corpus, path: Path) -> Path:
    """One Parquet file of ids and texts."""
    pq.write_table(pa.table({"id": list(corpus), "text": list(corpus.values())}), path)
    return path
