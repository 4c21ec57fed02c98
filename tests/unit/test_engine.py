"""The engine over an embedder whose vector is arithmetic: the sum and the count of a text's ids."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import VecmillError
from worker.engine.engine import Engine
from worker.engine.launch import Done
from worker.engine.tokens import Tokens, offsets_of

POISON, INFINITE = 666, 777


class Arithmetic:
    """Vector = (sum of ids, how many); POISON anywhere in a batch spoils it, INFINITE spoils its own row.

    With `ahead` it is as a GPU: what is wrong with a batch shows when it is collected, others being launched by then.
    """

    token_budget = 32

    def __init__(self, name="a", *, padded=False, raises=RuntimeError, ahead=0):
        self.spec = SimpleNamespace(fingerprint=name, dims=2)
        self.padded = padded
        self.raises = raises
        self.ahead = ahead
        self.launched = self.collected = self.most_launched = 0
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def launch(self, ids, offsets):
        self.launched += 1
        self.most_launched = max(self.most_launched, self.launched - self.collected)
        if not self.ahead:
            self.collected += 1
            return Done(self.compute(ids, offsets))
        return SimpleNamespace(collect=lambda: self.collect(ids, offsets))

    def collect(self, ids, offsets):
        self.collected += 1
        return self.compute(ids, offsets)

    def compute(self, ids, offsets):
        self.gate.wait(10)
        self.batches.append([ids[a:b].tolist() for a, b in pairwise(offsets)])
        if (ids == POISON).any():
            raise self.raises("poison")
        vectors = np.array([[sum(text), len(text)] for text in self.batches[-1]], dtype=np.float32)
        vectors[[INFINITE in text for text in self.batches[-1]]] = np.inf
        return vectors


def tokens(texts):
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ids = np.array([number for text in texts for number in text], dtype=np.int32)
    return Tokens(ids=ids, offsets=offsets_of(lengths), truncated=np.zeros(len(texts), dtype=bool))


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def wanted(texts):
    return [[sum(text), len(text)] for text in texts]


def encoded_at_once(embedder, jobs):
    """What several callers get who all wait when the first batch is formed."""
    engine = Engine()
    embedder.gate.clear()
    futures = [engine.submit(embedder, tokens(job)) for job in jobs]
    embedder.gate.set()
    encoded = [future.result(10) for future in futures]
    engine.close()
    return encoded


texts = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), max_size=20)


@settings(max_examples=40, deadline=None)
@given(jobs=st.lists(texts, min_size=1, max_size=6), padded=st.booleans())
def test_every_caller_gets_its_own_vectors_in_order(jobs, padded):
    embedder = Arithmetic(padded=padded)
    for job, encoded in zip(jobs, encoded_at_once(embedder, jobs), strict=True):
        assert encoded.vectors.shape == (len(job), 2)
        assert encoded.vectors.tolist() == wanted(job)
        assert encoded.failures == {}
        count = sum(map(len, job))
        assert encoded.work.encoded_tokens == count
        assert encoded.work.padded_tokens >= count
        assert padded or encoded.work.padded_tokens == count


@settings(max_examples=40, deadline=None)
@given(jobs=st.lists(texts, min_size=1, max_size=6), padded=st.booleans())
def test_every_batch_is_counted_once_over_all_callers(jobs, padded):
    embedder = Arithmetic(padded=padded)
    work = [encoded.work for encoded in encoded_at_once(embedder, jobs)]
    sizes = [max(map(len, batch)) * len(batch) if padded else sum(map(len, batch)) for batch in embedder.batches]
    assert sum(one.batches for one in work) == len(sizes)
    assert sum(one.padded_tokens for one in work) == sum(sizes)
    assert sum(one.squared_batch_tokens for one in work) == sum(size**2 for size in sizes)


def test_callers_share_a_batch(engine):
    embedder = Arithmetic()
    embedder.gate.clear()
    first = engine.submit(embedder, tokens([[1] * 30]))
    others = [engine.submit(embedder, tokens([[2, 3], [4]])) for _ in range(3)]
    embedder.gate.set()
    for future in [first, *others]:
        future.result(10)
    assert sorted(map(len, embedder.batches)) in ([1, 6], [2, 5], [3, 4])


def test_two_models_take_turns_by_age_and_never_share_a_batch(engine):
    left, right = Arithmetic("left"), Arithmetic("right")
    left.gate.clear()
    futures = [engine.submit(embedder, tokens([[1, 2]] * 40)) for embedder in (left, right, left)]
    left.gate.set()
    assert all(future.result(10).vectors.tolist() == [[3, 2]] * 40 for future in futures)
    assert sum(map(len, left.batches)) == 80
    assert sum(map(len, right.batches)) == 40


@pytest.mark.parametrize("raises", [RuntimeError, torch.OutOfMemoryError, MemoryError])
def test_a_poison_row_is_found_and_its_neighbours_are_fine(engine, raises):
    embedder = Arithmetic(raises=raises)
    job = [[1, 2], [POISON, 2], [3, 3], [4, 1], [5, 1]]
    other = [[7, 7]]
    embedder.gate.clear()
    futures = [engine.submit(embedder, tokens(texts)) for texts in (job, other)]
    embedder.gate.set()
    encoded = futures[0].result(10)
    assert list(encoded.failures) == [1]
    assert "poison" in encoded.failures[1]
    assert encoded.vectors.tolist() == [[3, 2], [0, 0], [6, 2], [5, 2], [6, 2]]
    assert futures[1].result(10).vectors.tolist() == [[14, 2]]


def test_after_out_of_memory_batches_are_smaller(engine):
    embedder = Arithmetic(raises=torch.OutOfMemoryError)
    engine.submit(embedder, tokens([[POISON] * 4] + [[1] * 4] * 7)).result(10)
    embedder.batches.clear()
    engine.submit(embedder, tokens([[1] * 4] * 8)).result(10)
    assert max(map(len, embedder.batches)) < 8


def test_a_vector_that_is_not_finite_is_a_failure(engine):
    encoded = engine.submit(Arithmetic(), tokens([[1], [INFINITE], [2]])).result(10)
    assert encoded.failures == {1: "the vector is not finite"}
    assert encoded.vectors.tolist() == [[1, 1], [0, 0], [2, 1]]


def test_a_text_without_a_token_is_a_failure(engine):
    encoded = engine.submit(Arithmetic(), tokens([[], [5]])).result(10)
    assert encoded.failures == {0: "the text has no token"}
    assert encoded.vectors.tolist() == [[0, 0], [5, 1]]
    assert engine.submit(Arithmetic(), tokens([[]])).result(10).failures == {0: "the text has no token"}


def test_no_texts(engine):
    assert engine.submit(Arithmetic(), tokens([])).result(10).vectors.shape == (0, 2)


@pytest.mark.parametrize("death", [SystemExit, torch.AcceleratorError])
def test_the_death_of_the_thread_is_everybodys_error(engine, death):
    embedder = Arithmetic(raises=death)
    embedder.gate.clear()
    futures = [engine.submit(embedder, tokens([[POISON], [1]])), engine.submit(embedder, tokens([[2]] * 50))]
    embedder.gate.set()
    for future in futures:
        with pytest.raises(VecmillError, match="poison"):
            future.result(10)
    with pytest.raises(VecmillError, match="has stopped"):
        engine.submit(embedder, tokens([[1]]))


def test_a_closed_engine_leaves_nobody_waiting():
    engine, embedder = Engine(), Arithmetic()
    embedder.gate.clear()
    futures = [engine.submit(embedder, tokens([[1]] * 100)) for _ in range(2)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    for future in futures:
        with pytest.raises(VecmillError, match="closed"):
            future.result(10)
    embedder.gate.set()
    closing.join(10)
    assert not closing.is_alive()


def test_many_threads_at_once(engine):
    embedder = Arithmetic()
    jobs = [[[number, row % 5 + 1] * (row % 4 + 1) for row in range(30)] for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda job: engine.submit(embedder, tokens(job)).result(30), jobs)
        for job, encoded in zip(jobs, results, strict=True):
            assert encoded.vectors.tolist() == wanted(job)
