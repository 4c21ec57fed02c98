"""From a job's texts to its vectors: all at once, or in pieces where it is suspect. Knows no ledger and no file."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from schemas.receipt import Receipt, StageSeconds
from schemas.run import OnTruncate
from schemas.spec import Spec
from worker.engine import Embedder, Engine, Work
from worker.engine.each_text import tokens_of_each
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


def encode(
    engine: Engine, embedder: Embedder, texts: list[str], *, on_truncate: OnTruncate = "keep"
) -> tuple[Encoded, Effort]:
    """All texts in one go, in batches that other jobs share; a text that comes again is encoded once."""
    clock = time.perf_counter()
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    tokens, unread = tokens_of_each(embedder, list(places))
    tokenize_seconds = time.perf_counter() - clock
    too_long = tokens.truncated if on_truncate == "fail" else np.zeros_like(tokens.truncated)
    done = engine.submit(embedder, tokens.emptied(too_long) if too_long.any() else tokens).result()
    effort = Effort(done.work, tokenize_seconds, len(texts) - len(places))
    lengths = tokens.lengths.astype(np.int32)
    failed = _failures("encode", done.failures) | _failures("tokenize", unread)
    failed |= dict.fromkeys(np.flatnonzero(too_long).tolist(), _too_long(embedder.spec))
    if not effort.duplicates:
        return Encoded(done.vectors, lengths, tokens.truncated, failed), effort
    of_row = np.fromiter((places[text] for text in texts), dtype=np.intp, count=len(texts))
    failures = {row: failed[place] for row, place in enumerate(of_row.tolist()) if place in failed}
    return Encoded(done.vectors[of_row], lengths[of_row], tokens.truncated[of_row], failures), effort


def _failures(reason: str, details: dict[int, str]) -> dict[int, Failure]:
    return {row: Failure(reason, detail) for row, detail in details.items()}


def _too_long(spec: Spec) -> Failure:
    most = "" if spec.max_tokens is None else f" ({spec.max_tokens} tokens)"
    return Failure("truncated", f"the text is longer than the model reads{most}")


def encode_in_pieces(
    engine: Engine,
    embedder: Embedder,
    texts: list[str],
    *,
    on_truncate: OnTruncate = "keep",
    deaths: list[Span],
    announce: Callable[[Span], None],
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
        piece, effort = encode(engine, embedder, [texts[row] for row in rows], on_truncate=on_truncate)
        whole.vectors[rows], whole.n_tokens[rows], whole.truncated[rows] = (
            piece.vectors, piece.n_tokens, piece.truncated,
        )  # fmt: skip
        failures |= {rows[at]: failure for at, failure in piece.failures.items()}
        total = total.plus(effort)
    return Encoded(whole.vectors, whole.n_tokens, whole.truncated, failures), total


def _died(times: int) -> Failure:
    return Failure("worker_died", f"the worker died while encoding it, {times} times")
