"""What a run would take, from a random sample of what it would encode: tokens, truncated texts, hours. Begins nothing.

Where the worker's side is installed, it counts the tokens and encodes some of them, as one worker here would. Where
only a tokenizer is, there are no hours; where there is none, it says so.
"""

import math
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from producer import side_door
from producer.bits import Bits
from producer.embedded.machine import crew_here
from producer.embedded.workers import worker_env
from producer.forecast.sampling import mean_of, sample, share_of
from producer.model import model_folder, weight_bytes
from producer.request import Where
from producer.source import Rows
from schemas.errors import VecmillError
from schemas.record import Record
from schemas.spec import Spec

_SECONDS = 3.0


class Estimate(Record):
    """Of the texts that would be encoded. `..._error` is half the width of a 95% interval, 0 where all were looked at.

    `tokens` are all that the model would read, `truncated` is the share of texts that it would not read to their end.
    `worker_hours` are at `tokens_per_second` of one worker on `device`, `hours` those of `workers` such workers;
    None where `unknown` says why.
    """

    sample: int
    tokens: int | None = None
    tokens_error: int | None = None
    truncated: float | None = None
    truncated_error: float | None = None
    tokens_per_second: float | None = None
    device: str | None = None
    dtype: str | None = None
    workers: int
    worker_hours: float | None = None
    hours: float | None = None
    unknown: str = ""

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.tokens is not None and self.truncated is not None and self.truncated_error is not None:
            yield f"about {self.tokens:,} tokens (± {self.tokens_error:,}), by a random sample of {self.sample:,} texts"
            share = f"{self.truncated:.1%} (± {self.truncated_error:.1%})"
            yield f"{share} of the texts are longer than the model reads: they would be truncated"
        if self.worker_hours is not None and self.hours is not None:
            speed = f"{self.tokens_per_second:,.0f} tokens/s of one worker ({self.dtype} on {self.device})"
            yield f"about {_time(self.worker_hours)} of one worker like this machine's, at {speed}, measured just now"
            if self.workers > 1:
                yield f"about {_time(self.hours)} with {self.workers} of them, if each is as fast as one alone"
        if self.unknown:
            yield self.unknown


def estimate(spec: Spec, source: Rows, encoded: Bits, where: Where) -> Estimate:
    """What encoding these rows of a source would take."""
    workers, threads = crew_here(device=where.device, wanted=where.workers, weight_bytes=weight_bytes(spec))
    texts, readable = sample(source, encoded)
    rows = round(encoded.count() * readable)
    if not texts:
        return Estimate(sample=0, workers=workers, unknown="no text would be encoded, so nothing was measured")
    plain = Estimate(sample=len(texts), workers=workers)
    if find_spec("torch") is None:
        return _counted(plain, spec, texts, rows)
    env = worker_env({}, threads=threads)
    try:
        facts = side_door.measure(spec, texts, device=where.device, seconds=_SECONDS, env=env)
    except VecmillError as error:
        return _counted(plain, spec, texts, rows, why=f"the model could not be tried here: {error}")
    plain = _with_tokens(plain, np.array(facts["tokens"]), np.array(facts["truncated"]), rows)
    return _with_hours(plain, facts["tokens_per_second"], facts["device"], facts["dtype"])


def _counted(plain: Estimate, spec: Spec, texts: list[str], rows: int, why: str = "") -> Estimate:
    """With the tokenizer alone."""
    why = why or "how long it takes is not known: torch is not installed here (pip install 'vecmill[worker]')"
    if find_spec("tokenizers") is None:
        return plain.model_copy(
            update={
                "unknown": f"{why}; nor are tokens counted, for want of a tokenizer (pip install 'vecmill[chunks]')"
            }
        )
    from producer.chunk.tokens import count_tokens

    try:
        lengths = count_tokens(model_folder(spec), spec, texts)
    except VecmillError as error:
        return plain.model_copy(update={"unknown": f"{why}; tokens are not counted: {error.args[0]}"})
    most = spec.max_tokens or int(lengths.max())
    plain = _with_tokens(plain, np.minimum(lengths, most), lengths > most, rows)
    return plain.model_copy(update={"unknown": why})


def _with_tokens(
    plain: Estimate, lengths: npt.NDArray[np.int64], truncated: npt.NDArray[np.bool_], rows: int
) -> Estimate:
    mean, error = mean_of(lengths, rows)
    share, share_error = share_of(truncated, rows)
    said = {
        "tokens": round(mean * rows), "tokens_error": math.ceil(error * rows), "truncated": round(share, 6),
        "truncated_error": round(share_error, 6),
    }  # fmt: skip
    return plain.model_copy(update=said)


def _with_hours(plain: Estimate, speed: float | None, device: str, dtype: str) -> Estimate:
    if plain.tokens is None or not speed:
        return plain.model_copy(update={"unknown": "no text of the sample has a token, so nothing was timed"})
    hours = plain.tokens / speed / 3600
    said = {"tokens_per_second": round(speed, 1), "device": device, "dtype": dtype}
    return plain.model_copy(update={**said, "worker_hours": hours, "hours": hours / plain.workers})


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{hours * 60:.1f} minutes" if hours >= 1 / 60 else f"{hours * 3600:.0f} seconds"
