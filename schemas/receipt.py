"""What a worker reports of a finished job; it travels in the part's own footer, so the parts tell a run's story."""

import math
from typing import Self

from pydantic import Field

from schemas.job import RunId
from schemas.record import Record

#: The footer keys under which a part carries its receipt, the full spec, its store, the ranges of its codes, and the
#: versions of the libraries that made it.
RECEIPT_KEY = b"vecmill.receipt"
SPEC_KEY = b"vecmill.spec"
STORE_KEY = b"vecmill.store"
RANGES_KEY = b"vecmill.ranges"
VERSIONS_KEY = b"vecmill.versions"
#: Raised when a part or a receipt of an older version could no longer be read as it is.
FORMAT_VERSION = 1
#: How finely a receipt tells how full batches were: in so many parts of the budget.
FILLS = 20
#: What is added up over the jobs of a run, in receipts and in the ledger.
COUNTERS = (
    "rows",
    "failed",
    "truncated",
    "duplicates",
    "tokens",
    "encoded_tokens",
    "padded_tokens",
    "batches",
    "squared_batch_tokens",
)


class StageSeconds(Record):
    """Wall seconds of one job in each stage; `encode` is the engine's time on this job's share of its batches."""

    tokenize: float = 0.0
    encode: float = 0.0
    write: float = 0.0


class SourceRange(Record):
    """Where the rows of a job begin and end in the source: file number and row within it; the end is exclusive.

    `row` counts records of the file, `total` counts records of the whole source up to there; where texts are cut into
    chunks, `total` counts chunks, and a fourth number those of the record that are before a place inside it.
    """

    start: tuple[int, ...] = Field(min_length=3, max_length=4)
    end: tuple[int, ...] = Field(min_length=3, max_length=4)


class Receipt(Record):
    """One finished job: what came out, and what it took.

    `duplicates` are texts that the job has had before, so they were not encoded again: `tokens` are those of all rows
    of the part, `encoded_tokens` those that went through the model, and `padded_tokens` this job's share of what its
    batches computed, padding counted. A batch counts for the job of its first row, so each is counted once over a run:
    `batches`, `squared_batch_tokens`, the sum of their tokens' squares, and `batch_fill`, how many of
    them had how many twentieths of the tokens that a batch may have.
    """

    format_version: int = FORMAT_VERSION
    run: RunId
    job: int
    fingerprint: str
    source: SourceRange
    rows: int
    failed: int = 0
    truncated: int = 0
    duplicates: int = 0
    tokens: int = 0
    encoded_tokens: int = 0
    padded_tokens: int = 0
    batches: int = 0
    squared_batch_tokens: int = 0
    batch_fill: dict[int, int] = Field(default_factory=dict)
    seconds: StageSeconds = StageSeconds()
    claimed_at: float
    durable_at: float
    worker: str
    device: str
    dtype: str

    def counters(self) -> dict[str, int]:
        """What this job adds to the counters of its run."""
        return {name: getattr(self, name) for name in COUNTERS}


class Totals(Record):
    """The receipts of a run, added up."""

    jobs: int = 0
    rows: int = 0
    failed: int = 0
    truncated: int = 0
    duplicates: int = 0
    tokens: int = 0
    encoded_tokens: int = 0
    padded_tokens: int = 0
    batches: int = 0
    squared_batch_tokens: int = 0
    seconds: StageSeconds = StageSeconds()
    first_claim: float | None = None
    last_durable: float | None = None
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    @property
    def padding(self) -> float:
        """Tokens computed for each token that was encoded; 1 without padding, 0 where there was none."""
        return self.padded_tokens / self.encoded_tokens if self.encoded_tokens else 0.0

    @property
    def batch_tokens(self) -> float:
        """Tokens of a mean batch, padding counted."""
        return self.padded_tokens / self.batches if self.batches else 0.0

    @property
    def batch_spread(self) -> float:
        """How uneven the batches were: the coefficient of variation of their tokens (deviation over mean)."""
        if not self.padded_tokens:
            return 0.0
        mean_square = self.squared_batch_tokens / self.batches
        return math.sqrt(max(mean_square / self.batch_tokens**2 - 1, 0.0))

    def plus(self, receipt: Receipt) -> Self:
        """These totals with one more receipt."""
        first = receipt.claimed_at if self.first_claim is None else min(self.first_claim, receipt.claimed_at)
        last = receipt.durable_at if self.last_durable is None else max(self.last_durable, receipt.durable_at)
        counts = {name: getattr(self, name) + getattr(receipt, name) for name in COUNTERS}
        seconds = {
            name: getattr(self.seconds, name) + getattr(receipt.seconds, name) for name in StageSeconds.model_fields
        }
        return self.model_copy(
            update={
                **counts,
                "jobs": self.jobs + 1,
                "seconds": StageSeconds(**seconds),
                "first_claim": first,
                "last_durable": last,
                "devices": tuple(sorted({*self.devices, receipt.device})),
                "dtypes": tuple(sorted({*self.dtypes, receipt.dtype})),
            }
        )
