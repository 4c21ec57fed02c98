"""What was looked at, how it is, and what to do about it."""

from collections.abc import Callable, Iterator
from typing import Literal

import redis

from schemas.errors import VecmillError
from schemas.record import Record

Verdict = Literal["good", "warning", "problem"]


class Check(Record):
    """One thing that was looked at. A `problem` stops a run; a `warning` costs something sooner or later."""

    subject: str
    verdict: Verdict
    said: str
    way_out: str = ""

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"{self.verdict:<8} {self.subject:<9} {self.said}"
        if self.way_out:
            yield f"{'':<18} -> {self.way_out}"


def looked(subject: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a look gives; an error that a run would end with is its last word."""
    try:
        yield from look()
    except VecmillError as error:
        yield Check(subject=subject, verdict="problem", said=str(error.args[0]), way_out=error.way_out)
    except (OSError, redis.RedisError) as error:
        yield Check(subject=subject, verdict="problem", said=str(error))
