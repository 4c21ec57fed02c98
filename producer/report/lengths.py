"""How long texts are, in tokens: a count for each length. Reads two columns, of some hundred files at most."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from producer.report.sample import spread
from producer.table.log import LiveFile
from producer.table.read import read_columns

_MOST_FILES = 400

Counts = npt.NDArray[np.int64]


class Lengths(NamedTuple):
    """`counts[n]` rows have n tokens; `truncated` of them were longer; `files` of `all_files` were read."""

    counts: Counts
    truncated: int
    files: int
    all_files: int

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> int:
        """So many tokens at most have this share of the rows."""
        return int(np.searchsorted(np.cumsum(self.counts), share * self.rows))

    @property
    def mean(self) -> float:
        """Tokens of a mean row."""
        return float(self.counts @ np.arange(len(self.counts))) / max(self.rows, 1)


def token_lengths(files: Sequence[LiveFile]) -> Lengths:
    """The lengths of the rows of some files; of very many files, of some that are spread evenly over them."""
    counts, truncated, chosen = np.zeros(0, np.int64), 0, spread(files, _MOST_FILES)
    for file in chosen:
        columns = read_columns(file, ["n_tokens", "truncated"])
        found = np.bincount(columns.column("n_tokens").to_numpy()).astype(np.int64)
        both = np.zeros(max(len(counts), len(found)), np.int64)
        both[: len(counts)] += counts
        both[: len(found)] += found
        counts, truncated = both, truncated + pc.sum(columns.column("truncated"), min_count=0).as_py()
    return Lengths(counts, truncated, len(chosen), len(files))
