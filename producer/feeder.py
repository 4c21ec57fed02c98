"""Keeps a bounded window of jobs in Redis: cuts the source only as fast as workers finish. Knows no Celery."""

from collections.abc import Iterator, Mapping

from producer.jobs import CutJob, JobLimits, cut
from producer.ledger import Ledger
from producer.source import Cursor, Source
from schemas.arrow import encode_payload
from schemas.receipt import Receipt

#: At most so many jobs wait or run at once, and at most so many bytes of their rows lie in Redis.
WINDOW_JOBS = 64
WINDOW_BYTES = 256 * 2**20


class Feeder:
    """Hands out the jobs of a run in order, from the first one that has no part.

    Jobs are cut from the source again and again the same way, so nothing needs to be remembered but where
    each unfinished job begins: a payload that Redis lost is cut anew.
    """

    def __init__(self, source: Source, ledger: Ledger, limits: JobLimits, parts: Mapping[int, Receipt]) -> None:
        self._source = source
        self._ledger = ledger
        self._limits = limits
        first, start = first_missing(parts)
        self._jobs: Iterator[CutJob] = cut(source, start, first_job=first, limits=limits)
        self._starts: dict[int, Cursor] = {}
        self._bytes: dict[int, int] = {}
        self._next = first
        self.exhausted = False

    def fill(self, outstanding: int) -> Iterator[int]:
        """Enqueue jobs until the window is full; yields those whose message is to be published."""
        self._forget_done()
        while not self.exhausted and outstanding < WINDOW_JOBS and sum(self._bytes.values()) < WINDOW_BYTES:
            job = next(self._jobs, None)
            if job is None:
                self.exhausted = True
                self._ledger.all_cut(self._next)
                return
            self._next = job.job + 1
            if self._ledger.ended_among([job.job]):
                continue
            outstanding += 1
            if self._store(job):
                yield job.job

    def restore(self, job: int) -> None:
        """Make sure that Redis holds the rows of a job that is to be published again."""
        if job in self._starts and not self._ledger.has_payload(job):
            self._store(next(cut(self._source, self._starts[job], first_job=job, limits=self._limits)))

    def _store(self, job: CutJob) -> bool:
        payload = encode_payload(job.rows, job.source)
        self._starts[job.job] = Cursor(*job.source.start)
        self._bytes[job.job] = len(payload)
        return self._ledger.enqueue(job.job, payload)

    def _forget_done(self) -> None:
        for job in self._ledger.ended_among(self._starts):
            del self._starts[job], self._bytes[job]


def first_missing(parts: Mapping[int, Receipt]) -> tuple[int, Cursor]:
    """The first job that has no part, and where it begins: at the end of the part before it."""
    job = 0
    while job in parts:
        job += 1
    return job, Cursor(*parts[job - 1].source.end) if job else Cursor(0, 0, 0)
