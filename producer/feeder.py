"""Keeps a bounded window of jobs in Redis: cuts the source only as fast as workers finish. Knows no Celery."""

from collections.abc import Iterator, Mapping

from producer.jobs import CutJob, JobLimits, cut
from producer.ledger import Ledger, Progress
from producer.source import Cursor, Rows
from producer.window import Window, window
from schemas.ledger import DEAD, DONE
from schemas.payload import encode_payload
from schemas.receipt import Receipt

#: The states of jobs that need no rows any more.
ENDED = (DONE, DEAD)


class Feeder:
    """Hands out the jobs of a run in order, from the first one that has no part.

    Jobs are cut from the source again and again the same way, so nothing needs to be remembered but where
    each unfinished job begins: a payload that Redis lost is cut anew.
    """

    def __init__(self, source: Rows, ledger: Ledger, limits: JobLimits, parts: Mapping[int, Receipt]) -> None:
        self._source = source
        self._ledger = ledger
        self._limits = limits
        first, start = first_missing(parts)
        self._jobs: Iterator[CutJob] = cut(source, start, first_job=first, limits=limits)
        self._starts: dict[int, Cursor] = {}
        self._bytes: dict[int, int] = {}
        self._held_bytes = 0
        self._next, self._end = first, start
        self._done_before: int | None = None
        self.exhausted = False

    def fill(self, progress: Progress, *, workers: int = 0, memory_bytes: int = 0) -> Iterator[int]:
        """Enqueue jobs until the window is full; yields those whose message is to be published.

        `workers` are alive, and `memory_bytes` is what Redis may take (0: nobody has said): see `producer.window`.
        """
        again = list(self._look_after())
        yield from again
        outstanding = progress.outstanding + len(again)
        size = self._window(progress, workers=workers, memory_bytes=memory_bytes)
        while not self.exhausted and size.has_room(outstanding, self._held_bytes):
            job = self._cut_next()
            if job is None:
                self.exhausted = True
                break
            self._next, self._end = job.job + 1, Cursor(*job.source.end)
            if self._ledger.states([job.job])[job.job] in ENDED:
                continue
            outstanding += 1
            if self._store(job):
                yield job.job
        if self.exhausted and progress.jobs is None:
            self._ledger.all_cut(self._next)

    def is_outdated(self, progress: Progress) -> bool:
        """Whether Redis has gone back to an older state, or nobody looks after a job: all is to be built again.

        A server that comes back with an older append-only file does not know of jobs that were done since, and which
        nobody remembers here. Where it says that more is left than it holds, and all is handed out, that never ends.
        """
        if progress.state != "running":
            return False
        unwatched = self.exhausted and not progress.ended and not progress.outstanding
        return progress.enqueued < self._next or progress.done < (self._done_before or 0) or unwatched

    def restore(self, job: int) -> None:
        """Make sure that Redis holds the rows of a job that is to be published again."""
        if job in self._starts and not self._ledger.has_payload(job):
            self._store(self._cut_again(job))

    def _window(self, progress: Progress, *, workers: int, memory_bytes: int) -> Window:
        done = 0 if self._done_before is None else progress.done - self._done_before
        self._done_before = progress.done
        return window(busy=progress.leased + max(done, 0), workers=workers, memory_bytes=memory_bytes)

    def _look_after(self) -> Iterator[int]:
        """Forget jobs that ended; enqueue again what a Redis that lost its last second no longer knows."""
        for job, state in self._ledger.states(self._starts).items():
            if state in ENDED:
                del self._starts[job]
                self._held_bytes -= self._bytes.pop(job)
            elif not state and self._store(self._cut_again(job)):
                yield job

    def _cut_next(self) -> CutJob | None:
        """The next job; None at the end of the source. May be called again after what it raised."""
        try:
            return next(self._jobs, None)
        except Exception:
            # An iterator that has raised is at its end ever after, and what is left would be taken for nothing.
            self._jobs = cut(self._source, self._end, first_job=self._next, limits=self._limits)
            raise

    def _cut_again(self, job: int) -> CutJob:
        return next(cut(self._source, self._starts[job], first_job=job, limits=self._limits))

    def _store(self, job: CutJob) -> bool:
        payload = encode_payload(job.rows, job.source)
        self._starts[job.job] = Cursor(*job.source.start)
        self._held_bytes += len(payload) - self._bytes.get(job.job, 0)
        self._bytes[job.job] = len(payload)
        return self._ledger.enqueue(job.job, payload)


def first_missing(parts: Mapping[int, Receipt]) -> tuple[int, Cursor]:
    """The first job that has no part, and where it begins: at the end of the part before it."""
    job = 0
    while job in parts:
        job += 1
    return job, Cursor(*parts[job - 1].source.end) if job else Cursor(0, 0, 0)
