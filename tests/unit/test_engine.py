"""The engine over an embedder whose vector is arithmetic: the sum and the count of a text's ids."""

import threading
import time
import weakref
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
#: A device that computes while it is asked, and one that is two batches behind.
AHEAD = [0, 2]


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
@given(jobs=st.lists(texts, min_size=1, max_size=6), padded=st.booleans(), ahead=st.integers(0, 3))
def test_every_caller_gets_its_own_vectors_in_order(jobs, padded, ahead):
    embedder = Arithmetic(padded=padded, ahead=ahead)
    for job, encoded in zip(jobs, encoded_at_once(embedder, jobs), strict=True):
        assert encoded.vectors.shape == (len(job), 2)
        assert encoded.vectors.tolist() == wanted(job)
        assert encoded.failures == {}
        count = sum(map(len, job))
        assert encoded.work.encoded_tokens == count
        assert encoded.work.padded_tokens >= count
        assert padded or encoded.work.padded_tokens == count


@settings(max_examples=40, deadline=None)
@given(jobs=st.lists(texts, min_size=1, max_size=6), padded=st.booleans(), ahead=st.integers(0, 3))
def test_every_batch_is_counted_once_over_all_callers(jobs, padded, ahead):
    embedder = Arithmetic(padded=padded, ahead=ahead)
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


@pytest.mark.parametrize("ahead", AHEAD)
def test_two_models_take_turns_by_age_and_never_share_a_batch(engine, ahead):
    left, right = Arithmetic("left", ahead=ahead), Arithmetic("right", ahead=ahead)
    left.gate.clear()
    futures = [engine.submit(embedder, tokens([[1, 2]] * 40)) for embedder in (left, right, left)]
    left.gate.set()
    assert all(future.result(10).vectors.tolist() == [[3, 2]] * 40 for future in futures)
    assert sum(map(len, left.batches)) == 80
    assert sum(map(len, right.batches)) == 40


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("raises", [RuntimeError, torch.OutOfMemoryError, MemoryError])
def test_a_poison_row_is_found_and_its_neighbours_are_fine(engine, raises, ahead):
    embedder = Arithmetic(raises=raises, ahead=ahead)
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


class Tight(Arithmetic):
    """Has memory for so many tokens only, and says so as torch does or as CUDA's own calls do."""

    def __init__(self, fit, **options):
        super().__init__(**options)
        self.fit = fit
        self.refused = 0

    def compute(self, ids, offsets):
        if len(ids) > self.fit:
            self.refused += 1
            raise self.raises("no memory")
        return super().compute(ids, offsets)


class OutOfMemory(torch.AcceleratorError):
    error_code = 2


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("raises", [torch.OutOfMemoryError, OutOfMemory])
def test_out_of_memory_costs_no_row_and_is_learned_from(engine, ahead, raises):
    embedder = Tight(9, raises=raises, ahead=ahead)
    job = [[at % 9 + 1] * (at % 4 + 1) for at in range(200)]
    encoded = engine.submit(embedder, tokens(job)).result(10)
    assert encoded.vectors.tolist() == wanted(job)
    assert encoded.failures == {}
    # The batches that were formed before the first one failed, and the halves of those.
    assert 2 <= embedder.refused <= 3 * (ahead + 1)
    embedder.refused = 0
    assert engine.submit(embedder, tokens(job)).result(10).vectors.tolist() == wanted(job)
    assert embedder.refused == 0


@pytest.mark.parametrize("ahead", AHEAD)
def test_one_text_beyond_memory_fails_alone(engine, ahead):
    job = [[1, 1], [2] * 12, [3]]
    encoded = engine.submit(Tight(9, raises=torch.OutOfMemoryError, ahead=ahead), tokens(job)).result(10)
    assert encoded.failures == {1: "OutOfMemoryError: no memory"}
    assert encoded.vectors.tolist() == [[2, 2], [0, 0], [3, 1]]


def test_what_a_failed_batch_held_is_free_when_its_halves_are_tried(engine):
    class Activations:
        pass

    class Hungry(Tight):
        held = None

        def compute(self, ids, offsets):
            free.append(self.held is None or self.held() is None)
            activations = Activations()
            self.held = weakref.ref(activations)
            return super().compute(ids, offsets)

    free = []
    engine.submit(Hungry(4, raises=torch.OutOfMemoryError), tokens([[1, 2]] * 8)).result(10)
    assert len(free) > 4
    assert all(free)


@pytest.mark.parametrize("ahead", AHEAD)
def test_batches_are_launched_ahead_and_no_further(engine, ahead):
    embedder = Arithmetic(ahead=ahead)
    encoded = engine.submit(embedder, tokens([[1] * 30] * 20)).result(10)
    assert encoded.vectors.tolist() == [[30, 30]] * 20
    assert embedder.most_launched == ahead + 1
    assert embedder.launched == embedder.collected == 20


def test_a_batch_that_fails_with_others_launched_behind_it_hurts_none_of_them(engine):
    embedder = Arithmetic(ahead=2)
    job = [[1] * 16, [POISON] + [1] * 15, *([[2] * 30] * 4), [POISON] * 30, *([[3] * 29] * 4)]
    embedder.gate.clear()
    future = engine.submit(embedder, tokens(job))
    embedder.gate.set()
    encoded = future.result(10)
    assert sorted(encoded.failures) == [1, 6]
    assert encoded.vectors.tolist() == [
        [0, 0] if POISON in text else pair for text, pair in zip(job, wanted(job), strict=True)
    ]


def test_the_times_of_batches_do_not_overlap(engine):
    embedder, began = Arithmetic(ahead=2), time.perf_counter()
    futures = [engine.submit(embedder, tokens([[1] * 30] * 40)) for _ in range(3)]
    seconds = sum(future.result(10).work.seconds for future in futures)
    assert 0 < seconds <= time.perf_counter() - began


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


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("death", [SystemExit, torch.AcceleratorError])
def test_the_death_of_the_thread_is_everybodys_error(engine, death, ahead):
    embedder = Arithmetic(raises=death, ahead=ahead)
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
