"""Pooling over flat states equals the formulas written out over each text alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.features import Features
from worker.engine.pooling import POOLERS
from worker.engine.pooling import pool as pool_features
from worker.engine.tokens import offsets_of, runs_of

_ALONE = {
    "cls": lambda text, places: text[0],
    "max": lambda text, places: text.max(0),
    "mean": lambda text, places: text.mean(0),
    "mean_sqrt_len_tokens": lambda text, places: text.sum(0) / np.sqrt(len(text)),
    "weightedmean": lambda text, places: (text * places[:, None]).sum(0) / places.sum(),
    "lasttoken": lambda text, places: text[-1],
}

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def states(lengths):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(sum(lengths), 5)).astype(np.float32))


def pool(hidden, offsets, config, prompt_length=0, **more):
    """Both ways, which must give the same."""
    ids = np.zeros(len(hidden), dtype=np.int32)
    features = Features(ids, offsets, tokens=hidden, prompt_length=prompt_length, **more)
    pooled, at_once = (pool_features(replace(features, at_once=which), config) for which in (False, True))
    assert pooled.dtype == at_once.dtype == torch.float32
    torch.testing.assert_close(at_once, pooled, atol=1e-5, rtol=1e-5)
    return pooled


def config(*modes, include_prompt=True):
    return {"modes": list(modes), "include_prompt": include_prompt}


@pytest.mark.parametrize("mode", POOLERS)
@settings(deadline=None)
@given(lengths=lengths, prompt=st.integers(0, 3))
def test_each_text_is_pooled_as_if_alone(mode, lengths, prompt):
    hidden, offsets = states(lengths), offsets_of(np.array(lengths))
    if prompt >= min(lengths):
        prompt = 0
    pooled = pool(hidden, offsets, config(mode, include_prompt=False), prompt_length=prompt).numpy()
    for row, (begin, end) in enumerate(pairwise(offsets)):
        places = np.arange(prompt + 1, end - begin + 1)
        wanted = _ALONE[mode](hidden[begin + prompt : end].numpy().astype(np.float64), places)
        assert np.abs(pooled[row] - wanted).max() < 1e-5


@pytest.mark.parametrize("mode", ["mean", "weightedmean"])
@settings(deadline=None)
@given(lengths=lengths, prompt=st.integers(0, 3))
def test_weights_of_words_divide_in_place_of_counts(mode, lengths, prompt):
    hidden, offsets = states(lengths), offsets_of(np.array(lengths))
    weights = torch.arange(1, len(lengths) + 1, dtype=torch.float32)
    pooled = pool(hidden, offsets, config(mode, include_prompt=False), prompt_length=prompt, weights=weights).numpy()
    for row, (begin, end) in enumerate(pairwise(offsets)):
        text = hidden[begin + prompt : end].numpy().astype(np.float64)
        places = np.arange(prompt + 1, prompt + 1 + len(text)) if mode == "weightedmean" else np.ones(len(text))
        assert np.abs(pooled[row] - (text * places[:, None]).sum(0) / (row + 1)).max() < 1e-4


@settings(deadline=None)
@given(lengths=lengths)
def test_several_modes_stand_side_by_side(lengths):
    hidden, offsets = states(lengths), offsets_of(np.array(lengths))
    both = pool(hidden, offsets, config("cls", "mean"))
    assert torch.equal(both[:, :5], pool(hidden, offsets, config("cls")))
    assert torch.equal(both[:, 5:], pool(hidden, offsets, config("mean")))


def test_a_prompt_that_counts_changes_nothing():
    hidden, offsets = states([4, 4]), offsets_of(np.array([4, 4]))
    assert torch.equal(pool(hidden, offsets, config("mean"), prompt_length=2), pool(hidden, offsets, config("mean")))


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_a_text_that_is_all_prompt_gives_zeros(mode):
    pooled = pool(states([2, 3]), np.array([0, 2, 5]), config(mode, include_prompt=False), prompt_length=2)
    assert pooled[0].abs().max() == 0
    assert pooled[1].abs().max() > 0


def test_a_sum_of_half_precision_states_is_kept_in_float32():
    hidden = torch.full((4096, 1), 100.0, dtype=torch.float16)
    assert pool(hidden, np.array([0, 4096]), config("mean")).item() == 100.0


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 4), max_size=20))
def test_runs_spell_out_the_lengths_again(lengths):
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    runs = runs_of(offsets)
    assert [length for _, count, length in runs for _ in range(count)] == lengths
    assert all(left[2] != right[2] for left, right in pairwise(runs))
    assert [start for start, _, _ in runs] == [int(offsets[sum(run[1] for run in runs[:i])]) for i in range(len(runs))]
