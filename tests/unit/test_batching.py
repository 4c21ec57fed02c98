"""Laws of the waiting pool: every sequence once, the budget held, the oldest job advancing in every batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.batching import SQUARES_PER_TOKEN, WaitingPool

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)
jobs = st.lists(lengths, min_size=1, max_size=5)


def filled(jobs, *, padded):
    pool = WaitingPool(padded=padded)
    for number, job in enumerate(jobs):
        pool.add(number, np.array(job))
    return pool


def drain(pool, budget):
    while pool:
        oldest = pool.oldest
        yield oldest, pool.take(budget)


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200), padded=st.booleans())
def test_every_sequence_goes_exactly_once(jobs, budget, padded):
    pool = filled(jobs, padded=padded)
    seen = [(job, int(row)) for _, batch in drain(pool, budget) for job, rows in batch for row in rows]
    assert sorted(seen) == [(job, row) for job, rows in enumerate(jobs) for row in range(len(rows))]
    assert len(pool) == 0


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200), padded=st.booleans())
def test_the_budget_is_held_but_for_a_sequence_alone(jobs, budget, padded):
    for _, batch in drain(filled(jobs, padded=padded), budget):
        sizes = [jobs[job][row] for job, rows in batch for row in rows]
        cost = max(sizes) * len(sizes) if padded else sum(sizes)
        assert cost <= budget or len(sizes) == 1


@settings(deadline=None)
@given(
    jobs=st.lists(st.lists(st.integers(1, 9000), min_size=1, max_size=30), min_size=1, max_size=3), padded=st.booleans()
)
def test_squared_lengths_are_bound_but_for_a_sequence_alone(jobs, padded):
    budget = 16384
    for _, batch in drain(filled(jobs, padded=padded), budget):
        sizes = [jobs[job][row] for job, rows in batch for row in rows]
        squares = max(sizes) ** 2 * len(sizes) if padded else sum(size**2 for size in sizes)
        assert squares <= budget * SQUARES_PER_TOKEN or len(sizes) == 1


def test_texts_that_are_mostly_attention_do_not_share_a_batch():
    batches = [batch for _, batch in drain(filled([[8000, 8000, 100, 100]], padded=False), 16384)]
    assert [[rows.tolist() for _, rows in batch] for batch in batches] == [[[0]], [[1]], [[2, 3]]]


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200), padded=st.booleans())
def test_the_oldest_job_sends_its_longest_in_every_batch(jobs, budget, padded):
    sent = {number: set() for number in range(len(jobs))}
    for oldest, batch in drain(filled(jobs, padded=padded), budget):
        left = {row: length for row, length in enumerate(jobs[oldest]) if row not in sent[oldest]}
        for job, rows in batch:
            sent[job].update(rows.tolist())
        assert max(left.values()) in [jobs[oldest][row] for row in left if row in sent[oldest]]


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200), padded=st.booleans())
def test_a_batch_comes_longest_first(jobs, budget, padded):
    for _, batch in drain(filled(jobs, padded=padded), budget):
        sizes = [jobs[job][row] for job, rows in batch for row in rows]
        assert sizes == sorted(sizes, reverse=True)


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200))
def test_a_packed_batch_is_full_where_anything_would_fit(jobs, budget):
    pool = filled(jobs, padded=False)
    for _, batch in drain(pool, budget):
        sizes = [jobs[job][row] for job, rows in batch for row in rows]
        shorter = [length for length in pool._lengths if length <= min(sizes)]
        assert not shorter or sum(sizes) + max(shorter) > budget


@settings(deadline=None)
@given(jobs=jobs, budget=st.integers(1, 200), gone=st.integers(0, 4))
def test_a_removed_job_is_forgotten(jobs, budget, gone):
    pool = filled(jobs, padded=False)
    pool.remove(gone)
    seen = {job for _, batch in drain(pool, budget) for job, _ in batch}
    assert seen == set(range(len(jobs))) - {gone}


def test_jobs_share_a_batch_and_neighbours_in_length_go_together():
    pool = WaitingPool()
    pool.add("old", np.array([3, 9]))
    pool.add("young", np.array([9, 8, 1]))
    batch = [(job, rows.tolist()) for job, rows in pool.take(26)]
    assert batch == [("old", [1]), ("young", [0]), ("young", [1])]


def test_rows_may_have_names_of_their_own():
    pool = WaitingPool()
    pool.add("job", np.array([2, 5]), np.array([10, 20]))
    assert [(job, rows.tolist()) for job, rows in pool.take(100)] == [("job", [20]), ("job", [10])]


def test_a_job_cannot_wait_twice():
    pool = WaitingPool()
    pool.add("job", np.array([1]))
    with pytest.raises(ValueError, match="waits already"):
        pool.add("job", np.array([1]))
