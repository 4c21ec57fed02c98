"""How many jobs, and how many bytes of their rows, may lie in Redis at once. Knows no queue and no source.

The window follows the workers, not the corpus: it holds twice what they had since the last look, so that none of them
waits for the producer, and doubles until that is enough.
"""

from typing import NamedTuple

#: What a run of few workers gets.
WINDOW_JOBS = 64
WINDOW_BYTES = 256 * 2**20
#: However many workers there are: more than this is a long list to go through at every look.
MOST_WINDOW_JOBS = 4_096
#: Two jobs of the longest texts, as they are compressed.
_BYTES_PER_WORKER = 2 * 2**20


class Window(NamedTuple):
    """The most that a run has in Redis."""

    jobs: int = WINDOW_JOBS
    size_bytes: int = WINDOW_BYTES

    def has_room(self, jobs: int, size_bytes: int) -> bool:
        """Whether one more job may come; the last one may be beyond the bytes."""
        return jobs < self.jobs and size_bytes < self.size_bytes


def window(*, busy: int, workers: int, memory_bytes: int) -> Window:
    """The window for so many jobs that were at work since the last look, and so many living workers.

    `memory_bytes` is what Redis may take at most, 0 where nothing is said; half of it is for others.
    """
    size_bytes = max(WINDOW_BYTES, workers * _BYTES_PER_WORKER)
    if memory_bytes:
        size_bytes = min(size_bytes, memory_bytes // 2)
    return Window(min(max(WINDOW_JOBS, 2 * busy), MOST_WINDOW_JOBS), size_bytes)
