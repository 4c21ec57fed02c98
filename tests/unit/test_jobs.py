"""Laws of the cut: nothing lost, nothing moved, limits held, and resuming anywhere gives the same jobs."""

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from producer.jobs import JobLimits, cut
from producer.source import START, Cursor, SourceBatch
from schemas.arrow import payload_schema

_FILES = st.lists(st.lists(st.one_of(st.none(), st.text("aé", max_size=12)), max_size=12), min_size=1, max_size=4)
_LIMITS = st.builds(JobLimits, rows=st.integers(1, 7), text_bytes=st.integers(1, 30))


class _Source:
    """Files of texts, read in batches of one size."""

    schema = payload_schema([])

    def __init__(self, files, batch_rows):
        self.files, self.batch_rows = files, batch_rows

    def batches(self, start=START):
        place = start
        for number in range(start.file, len(self.files)):
            place = Cursor(number, start.row if number == start.file else 0, place.total)
            texts = self.files[number][place.row :]
            for first in range(0, len(texts), self.batch_rows):
                rows = texts[first : first + self.batch_rows]
                ids = [str(place.total + n) for n in range(len(rows))]
                columns = [ids, [0] * len(rows), rows, [None] * len(rows)]
                arrays = [pa.array(c, f.type) for c, f in zip(columns, self.schema, strict=True)]
                yield SourceBatch(pa.RecordBatch.from_arrays(arrays, schema=self.schema), place)
                place = place.plus(len(rows))


def _cut(files, batch_rows, limits, start=START, first_job=0):
    jobs = cut(_Source(files, batch_rows), start, first_job=first_job, limits=limits)
    return [
        (job.job, job.rows.column("text").to_pylist(), job.rows.column("id").to_pylist(), job.source) for job in jobs
    ]


@given(_FILES, st.integers(1, 9), _LIMITS)
def test_the_jobs_are_the_rows_in_order(files, batch_rows, limits):
    jobs = _cut(files, batch_rows, limits)
    assert [text for _, texts, _, _ in jobs for text in texts] == [text for file in files for text in file]
    assert [id_ for _, _, ids, _ in jobs for id_ in ids] == [str(n) for n in range(sum(map(len, files)))]
    assert [number for number, *_ in jobs] == list(range(len(jobs)))


@given(_FILES, st.integers(1, 9), _LIMITS)
def test_the_limits_hold_and_jobs_are_as_full_as_they_can_be(files, batch_rows, limits):
    def size(texts):
        return sum(len((text or "").encode()) for text in texts)

    jobs = [texts for _, texts, _, _ in _cut(files, batch_rows, limits)]
    for texts in jobs:
        assert len(texts) <= limits.rows
        assert len(texts) == 1 or size(texts) <= limits.text_bytes
    for texts, following in pairwise(jobs):
        assert len(texts) == limits.rows or size([*texts, following[0]]) > limits.text_bytes


@given(_FILES, st.integers(1, 9), st.integers(1, 9), _LIMITS)
def test_the_cut_does_not_depend_on_the_batches(files, one, other, limits):
    assert _cut(files, one, limits) == _cut(files, other, limits)


@given(_FILES, st.integers(1, 9), _LIMITS, st.data())
def test_cutting_again_from_any_jobs_end_gives_the_same_jobs(files, batch_rows, limits, data):
    jobs = _cut(files, batch_rows, limits)
    done = data.draw(st.integers(0, len(jobs)))
    start = Cursor(*jobs[done - 1][3].end) if done else START
    again = _Source(files, 3)
    rest = [
        (job.job, job.rows.column("text").to_pylist(), job.source)
        for job in cut(again, start, first_job=done, limits=limits)
    ]
    assert rest == [(number, texts, source) for number, texts, _, source in jobs[done:]]


@given(_FILES, st.integers(1, 9), _LIMITS)
def test_ranges_are_contiguous(files, batch_rows, limits):
    ranges = [source for *_, source in _cut(files, batch_rows, limits)]
    assert [one.end for one in ranges[:-1]] == [one.start for one in ranges[1:]]
    if ranges:
        assert ranges[0].start == (0, 0, 0)
        assert ranges[-1].end[2] == sum(map(len, files))
