"""One caller's texts on their way through the engine, and what comes back."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field, fields

import numpy as np

from schemas.receipt import FILLS
from schemas.store import not_finite
from worker.engine.tokens import Ids, Index, Offsets, Tokens, Vectors, offsets_of

_EMPTY = "the text has no token"
_NOT_FINITE = "the vector is not finite"


@dataclass(frozen=True, slots=True)
class Work:
    """What encoding took: a share of its batches' `seconds`, and of the tokens that they computed, padding counted;
    `encoded_tokens` are those without it.

    A batch counts for the submission whose row is its first, so that each is counted once: `batches`, the squares of
    their tokens, which tell how even they were, and `batch_fill`, how many had how many twentieths of the budget.
    """

    encoded_tokens: int = 0
    padded_tokens: int = 0
    batches: int = 0
    squared_batch_tokens: int = 0
    batch_fill: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def plus(self, other: "Work") -> "Work":
        """Both together."""
        return Work(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of one submission; a failed row's vector is zero, and `failures` says why it failed."""

    vectors: Vectors
    failures: dict[int, str] = field(default_factory=dict)
    work: Work = Work()


class Submission:
    """Texts of one caller, and how far they are. Changed by the engine's thread only."""

    def __init__(self, tokens: Tokens, *, dims: int, fingerprint: str) -> None:
        self.tokens = tokens
        self.fingerprint = fingerprint
        self.future: Future[Encoded] = Future()
        self.future.set_running_or_notify_cancel()
        self.lengths = tokens.costs
        self.rows: Index = np.flatnonzero(self.lengths)
        self._missing = len(self.rows)
        self._vectors = np.zeros((len(tokens), dims), dtype=np.float32)
        self._failures = {int(row): _EMPTY for row in np.flatnonzero(self.lengths == 0)}
        self._work = Work()

    @property
    def done(self) -> bool:
        """Whether every row has its vector or its failure."""
        return self._missing == 0

    def cost(self, rows: Index) -> int:
        """Tokens in some rows."""
        return int(self.lengths[rows].sum())

    def receive(self, rows: Index, vectors: Vectors, work: Work) -> None:
        """Take the vectors of some rows."""
        self._vectors[rows] = vectors
        bad = rows[not_finite(vectors)]
        self._vectors[bad] = 0
        self._failures.update((int(row), _NOT_FINITE) for row in bad)
        self._missing -= len(rows)
        self._work = self._work.plus(work)

    def fail(self, rows: Index, reason: str) -> None:
        """Take the reason why some rows have no vector."""
        self._failures.update((int(row), reason) for row in rows)
        self._missing -= len(rows)

    def finish(self) -> None:
        """Hand over what there is."""
        self.future.set_result(Encoded(self._vectors, self._failures, self._work))


#: Some rows of some submissions, those of equal length being neighbours.
Batch = list[tuple[Submission, Index]]


def gather(batch: Batch) -> tuple[Ids, Offsets]:
    """The ids of a batch, flat, and where each text begins and ends."""
    taken = [submission.tokens.take(rows) for submission, rows in batch]
    ids = np.concatenate([ids for ids, _ in taken])
    lengths = np.concatenate([np.diff(offsets) for _, offsets in taken])
    return ids, offsets_of(lengths)


def deliver(batch: Batch, vectors: Vectors, *, seconds: float, padded: bool, budget: int) -> None:
    """To each submission its vectors, and its share of the time by its tokens."""
    longest = max(int(submission.lengths[rows].max()) for submission, rows in batch)
    costs = [len(rows) * longest if padded else submission.cost(rows) for submission, rows in batch]
    tokens, begin = sum(costs), 0
    for (submission, rows), cost in zip(batch, costs, strict=True):
        first = begin == 0
        own = (1, tokens**2, Counter([min(FILLS * tokens // budget, FILLS)])) if first else (0, 0, Counter[int]())
        work = Work(submission.cost(rows), cost, *own, seconds * cost / tokens)
        submission.receive(rows, vectors[begin : begin + len(rows)], work)
        begin += len(rows)


def halves(batch: Batch, rows: int) -> tuple[Batch, Batch]:
    """The first `rows` rows of a batch, and the rest."""
    first: Batch = []
    rest: Batch = []
    for submission, index in batch:
        cut = min(rows, len(index))
        rows -= cut
        first += [(submission, index[:cut])] if cut else []
        rest += [(submission, index[cut:])] if cut < len(index) else []
    return first, rest
