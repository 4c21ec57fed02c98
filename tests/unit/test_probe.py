"""The token budget from curves of speed and memory that are known."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.engine import probe
from worker.engine.launch import Done
from worker.engine.probe import FIRST, LAST, RESERVE, find_knee
from worker.engine.tokens import Tokens, offsets_of


def tried(curve, *, fit=10**9, free=lambda tokens: 1.0):
    seen = []

    def speed(tokens):
        seen.append(tokens)
        if tokens > fit:
            raise torch.OutOfMemoryError("no memory")
        return curve(tokens)

    return find_knee(speed, lambda: free(seen[-1])), seen


@given(half=st.floats(100, 50_000), most=st.floats(1e3, 1e7))
def test_the_knee_is_the_fewest_tokens_near_the_fastest(half, most):
    def curve(tokens):
        return most * tokens / (tokens + half)

    budget, seen = tried(curve)
    assert all(later == 2 * earlier for earlier, later in pairwise(seen))
    fastest = max(map(curve, seen))
    assert curve(budget.tokens) >= 0.95 * fastest
    assert budget.tokens == FIRST or curve(budget.tokens // 2) < 0.95 * fastest
    # Where it stopped early, going on would not have been worth it.
    assert curve(LAST) * 0.9 <= curve(budget.tokens)


def test_what_gets_slower_ends_the_search():
    budget, seen = tried(lambda tokens: 1000.0 if tokens <= 2 * FIRST else 500.0)
    assert budget.tokens == FIRST
    assert seen[-1] < LAST


def test_a_device_that_is_never_fast_enough_gets_the_last():
    budget, seen = tried(float)
    assert budget.tokens == seen[-1] == LAST


@pytest.mark.parametrize("fit", [FIRST, 5 * FIRST])
def test_memory_that_ends_stops_it_below(fit):
    budget, seen = tried(float, fit=fit)
    assert budget.tokens <= fit < seen[-1] == 2 * budget.tokens
    assert f"memory ends before {seen[-1]:,}" in budget.reason


def test_no_memory_for_the_first_is_less_than_the_first():
    budget, seen = tried(float, fit=1)
    assert (budget.tokens, seen) == (FIRST // 2, [FIRST])


def test_some_memory_stays_free():
    budget, _ = tried(float, free=lambda tokens: 1 - tokens / (40 * FIRST))
    assert 1 - budget.tokens / (40 * FIRST) >= RESERVE
    assert 1 - 2 * budget.tokens / (40 * FIRST) < RESERVE
    assert "stays free" in budget.reason


def test_any_other_error_is_not_taken_for_a_lack_of_memory():
    def speed(tokens):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        find_knee(speed, lambda: 1.0)


class Slow:
    """Its clock goes on by one second with each batch."""

    spec, padded, token_budget, ahead = SimpleNamespace(dims=1), False, 1, 2

    def __init__(self):
        self.now, self.sizes = 0.0, []

    def tokens(self, texts):
        ids = np.arange(300, dtype=np.int32)
        return Tokens(ids, offsets_of(np.array([300])), np.zeros(1, dtype=bool))

    def launch(self, ids, offsets):
        self.sizes.append(len(ids))
        self.now += 1
        return Done(np.zeros((len(offsets) - 1, 1), dtype=np.float32))


def test_speed_is_of_whole_batches_and_not_of_the_first_one():
    embedder = Slow()
    assert probe.measured(embedder, 1000, lambda: embedder.now) == 7 * 128
    assert set(embedder.sizes) == {7 * 128}
    assert len(embedder.sizes) == 7


def test_a_cpu_is_not_probed():
    assert probe.decide_budget(None, torch.device("cpu")) == probe.USUAL["cpu"]


def test_a_gpu_that_cannot_be_measured_gets_the_usual_and_a_lost_one_is_lost(monkeypatch):
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)
    for error, lost in ((RuntimeError, False), (torch.OutOfMemoryError, False), (torch.AcceleratorError, True)):

        def launch(*_, error=error):
            raise error("at launch")

        embedder = Slow()
        embedder.launch = launch
        if lost:
            with pytest.raises(torch.AcceleratorError):
                probe.decide_budget(embedder, torch.device("cuda"))
        else:
            assert probe.decide_budget(embedder, torch.device("cuda")).tokens in (16384, FIRST // 2)
