"""From a job's texts to its vectors: all at once, or in pieces where it is suspect. Knows no ledger and no file."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from schemas.receipt import Receipt, StageSeconds
from worker.engine import Embedder, Engine, Work
from worker.output.part import Encoded, Failure
from worker.suspects import Span, pieces, rows_at_fault

#: What of the engine's work a receipt carries by the same names.
_COUNTED = ("encoded_tokens", "padded_tokens", "batches", "squared_batch_tokens", "batch_fill")


class Effort(NamedTuple):
    """What the vectors took."""

    work: Work = Work()
    tokenize_seconds: float = 0.0
    duplicates: int = 0

    def plus(self, other: "Effort") -> "Effort":
        """Both together."""
        return Effort(
            self.work.plus(other.work),
            self.tokenize_seconds + other.tokenize_seconds,
            self.duplicates + other.duplicates,
        )

    def onto(self, receipt: Receipt) -> Receipt:
        """The receipt with all this in it."""
        counts = {name: getattr(self.work, name) for name in _COUNTED} | {"duplicates": self.duplicates}
        seconds = StageSeconds(tokenize=self.tokenize_seconds, encode=self.work.seconds)
        return receipt.model_copy(update={**counts, "seconds": seconds})


def encode(engine: Engine, embedder: Embedder, texts: list[str]) -> tuple[Encoded, Effort]:
    """All texts in one go, in batches that other jobs share; a text that comes again is encoded once."""
    clock = time.perf_counter()
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    tokens = embedder.tokens(list(places))
    tokenize_seconds = time.perf_counter() - clock
    done = engine.submit(embedder, tokens).result()
    effort = Effort(done.work, tokenize_seconds, len(texts) - len(places))
    lengths = tokens.lengths.astype(np.int32)
    if not effort.duplicates:
        return Encoded(done.vectors, lengths, tokens.truncated, _failures(done.failures)), effort
    of_row = np.fromiter((places[text] for text in texts), dtype=np.intp, count=len(texts))
    failures = {row: done.failures[place] for row, place in enumerate(of_row.tolist()) if place in done.failures}
    return Encoded(done.vectors[of_row], lengths[of_row], tokens.truncated[of_row], _failures(failures)), effort


def _failures(reasons: dict[int, str]) -> dict[int, Failure]:
    return {row: Failure("encode", reason) for row, reason in reasons.items()}


def encode_in_pieces(
    engine: Engine, embedder: Embedder, texts: list[str], *, deaths: list[Span], announce: Callable[[Span], None]
) -> tuple[Encoded, Effort]:
    """The texts piece by piece, each announced before it is touched; those known to be at fault become failures."""
    total = Effort()
    whole = Encoded(
        np.zeros((len(texts), embedder.spec.dims), dtype=np.float32),
        np.zeros(len(texts), dtype=np.int32),
        np.zeros(len(texts), dtype=bool),
        {row: _died(times) for row, times in rows_at_fault(deaths).items()},
    )
    failures = dict(whole.failures)
    for span, rows in pieces(len(texts), deaths):
        announce(span)
        piece, effort = encode(engine, embedder, [texts[row] for row in rows])
        whole.vectors[rows], whole.n_tokens[rows], whole.truncated[rows] = (
            piece.vectors, piece.n_tokens, piece.truncated,
        )  # fmt: skip
        failures |= {rows[at]: failure for at, failure in piece.failures.items()}
        total = total.plus(effort)
    return Encoded(whole.vectors, whole.n_tokens, whole.truncated, failures), total


def _died(times: int) -> Failure:
    return Failure("worker_died", f"the worker died while encoding it, {times} times")
