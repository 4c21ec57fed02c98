"""A random sample of the texts of a source, and what it says of all of them. Knows no model."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from producer.bits import Bits
from producer.plan import Changed
from producer.source import Rows

#: With so many texts a mean is known within some percent, unless lengths differ wildly; the error is told.
SAMPLE_ROWS = 2_000
#: Of longer texts fewer are taken.
_SAMPLE_BYTES = 32 << 20
_SEED = 7
#: 95 of 100 such intervals hold what they are about.
_WIDTH = 1.96
#: What is not found in n texts is in less than 3/n of them, with the same certainty.
_NEVER_SEEN = 3.0


class Sample(NamedTuple):
    """Some texts, and the share of the rows looked at that have one that can be read."""

    texts: list[str]
    readable: float


def sample(source: Rows, encoded: Bits) -> Sample:
    """Texts of some of these rows, each as likely as any other; fewer where they are long."""
    random = np.random.default_rng(_SEED)
    numbers = encoded.among(0, encoded.size)
    picked = Bits(encoded.size)
    picked.add(np.sort(random.choice(numbers, min(SAMPLE_ROWS, len(numbers)), replace=False)))
    taken: list[str] = []
    size, chance, read = 0, 1.0, 0
    for batch in Changed(source, picked).batches():
        for text in batch.rows.column("text").drop_null().to_pylist():
            read += 1
            if random.random() < chance:
                taken.append(text)
                size += len(text)
            if size > _SAMPLE_BYTES and len(taken) > 1:
                # Half of those so far go, at random, and of those to come.
                taken = [text for text in taken if random.random() < 0.5]
                size, chance = sum(map(len, taken)), chance / 2
    return Sample(taken, read / max(picked.count(), 1))


def mean_of(values: npt.NDArray[np.int64] | npt.NDArray[np.float64], rows: int) -> tuple[float, float]:
    """The mean of a sample drawn without putting back, and half the width of its interval."""
    if len(values) >= rows:
        return float(values.mean()), 0.0
    spread = float(values.std(ddof=1)) if len(values) > 1 else float(values.mean())
    return float(values.mean()), _WIDTH * spread / math.sqrt(len(values)) * math.sqrt(1 - len(values) / rows)


def share_of(values: npt.NDArray[np.bool_], rows: int) -> tuple[float, float]:
    """The same of a share, which is not known exactly though all of the sample agree."""
    share, error = mean_of(values.astype(np.float64), rows)
    return share, error if len(values) >= rows else max(error, _NEVER_SEEN / len(values))
