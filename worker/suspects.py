"""Which of a job's rows kills its workers: what to try next, from how earlier tries ended. Knows no queue and no model.

A suspect job is encoded in pieces, and the ledger hears of each piece before it begins. When the worker dies, the
piece it was at holds the row at fault, and the next attempt begins with that piece in sixteenths. A row that was
alone in so many deaths is left out from then on. So a job of n rows costs, for each such row, as many deaths as
halving n by sixteen takes steps to one, and one more to be sure.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.errors import VecmillError
from schemas.ledger import SUSPECT_LOSSES

#: Into how many pieces a range is cut. More pieces: fewer deaths, but smaller batches.
PIECES = 16
#: A row is at fault when the worker died so often while it was tried alone; once may be chance.
ROW_DEATHS = 2
#: With more rows at fault than this in one job, it is rather the model, the device or the machine.
MOST_ROWS_AT_FAULT = 8
#: A worker that died so often around the job's rows (loading, reading, writing) will again.
MOST_DEATHS_AROUND = 3


class Hopeless(VecmillError):
    """The job kills its workers, and leaving rows out does not help."""


class Span(NamedTuple):
    """Some neighbouring rows of a job, by number among those that can be embedded; empty: none in particular."""

    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.begin}:{self.end}"

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.end - self.begin


#: What a worker is at before the first piece and after the last.
AROUND = Span(0, 0)


def is_suspect(lost: int) -> bool:
    """Whether a job that lost so many leases may be what kills its workers."""
    return lost >= SUSPECT_LOSSES


def spans(trials: Iterable[str]) -> list[Span]:
    """Trials as the ledger keeps them."""
    return [Span(*map(int, trial.split(":"))) for trial in trials]


def rows_at_fault(deaths: Iterable[Span]) -> dict[int, int]:
    """The rows that kill workers, and how often each did while it was alone."""
    alone = Counter(death.begin for death in deaths if death.rows == 1)
    return {row: times for row, times in sorted(alone.items()) if times >= ROW_DEATHS}


def check_hope(deaths: list[Span]) -> None:
    """Raise `Hopeless` where one more attempt would only cost one more worker."""
    around = deaths.count(AROUND)
    if around >= MOST_DEATHS_AROUND:
        raise Hopeless(
            f"the worker died {around} times while it loaded the model for this job, read its rows or wrote its part",
            way_out="look at the workers' logs, and at their memory",
        )
    found = rows_at_fault(deaths)
    if len(found) > MOST_ROWS_AT_FAULT:
        raise Hopeless(
            f"{len(found)} rows of this job killed their worker, each {ROW_DEATHS} times",
            way_out="look at the workers' logs: the model or the device may be at fault, rather than the rows",
        )


def pieces(rows: int, deaths: list[Span]) -> Iterator[tuple[Span, list[int]]]:
    """What to try, in order: each span, and its rows that are not known to be at fault."""
    last = deaths[-1] if deaths else AROUND
    known = rows_at_fault(deaths)
    for span in [*_cut(last, last.rows), *_cut(Span(0, last.begin), rows), *_cut(Span(last.end, rows), rows)]:
        left = [row for row in range(*span) if row not in known]
        if left:
            yield span, left


def _cut(span: Span, of: int) -> Iterator[Span]:
    """A span in pieces that are each a sixteenth of so many rows."""
    step = max(1, math.ceil(of / PIECES))
    for begin in range(span.begin, span.end, step):
        yield Span(begin, min(begin + step, span.end))
