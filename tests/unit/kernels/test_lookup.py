"""A first layer's query, key and value by tables: what plain arithmetic gives for the words and positions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import layer_norm, linear

from tests.unit.kernels.checks import each_float, needed, normal
from tests.unit.kernels.test_encoder import KINDS, parts_of
from worker.engine.kernels import Encoder, Entry, Norm, kernels
from worker.engine.trial import apart

pytestmark = needed

WORDS, POSITIONS, WIDTH, INNER = 300, 40, 48, 28


def entry_of(kind=torch.float32, width=WIDTH, seed=0):
    norm = nn.LayerNorm(width, eps=0.3)
    norm.weight.data, norm.bias.data = normal(width, seed=seed + 1), normal(width, seed=seed + 2)
    return Entry(
        normal(WORDS, width, seed=seed + 3, kind=kind) + 2, normal(POSITIONS, width, seed=seed + 4, kind=kind),
        norm.to(kind), normal(3 * INNER, width, seed=seed + 5) / 5, normal(3 * INNER, seed=seed + 6),
    )  # fmt: skip


def normed(entry, words, positions):
    """In float64, what a network's first layer is given."""
    summed = entry.words[torch.tensor(words)].double() + entry.positions[torch.tensor(positions)].double()
    norm = entry.norm
    return layer_norm(summed, summed.shape[-1:], norm.weight.double(), norm.bias.double(), norm.eps)


def rows(numbers):
    return np.array(numbers, dtype=np.int32)


texts = st.lists(st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=POSITIONS), min_size=1, max_size=9)


@given(texts=texts)
@settings(deadline=None, max_examples=25)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_gives_what_it_gives_for_the_products(kind, texts):
    parts = parts_of(kind)
    own, encoder, inner_kind = kernels(), Encoder(parts), parts.inputs[0].kind_out
    entry = entry_of(parts.after_all.weight.dtype)
    words = [word for text in texts for word in text]
    positions = [position for text in texts for position in range(len(text))]
    runs = [(sum(map(len, texts[:i])), 1, len(text)) for i, text in enumerate(texts)]
    states = normed(entry, words, positions)
    found = own.lookup(entry, inner_kind).of(rows(words), rows(positions))
    given_states = states.to(encoder.kind)
    inputs = linear(states, entry.weights.double(), entry.bias.double()).chunk(3, dim=1)
    heads = [part.view(1, len(words), parts.heads, -1).transpose(1, 2).to(inner_kind) for part in inputs]
    mixed = own.attention(heads, runs, parts.scale, rough=parts.pairs).flatten(1)
    summed = own.linear((parts.mixed,), mixed, Norm(given_states, parts.after_mixed))
    wanted = own.linear((parts.up, parts.down), summed, Norm(summed, parts.after_all))
    # In integers a rounding error may take a number to the next level; in bfloat16 shares are rounded, too.
    most = 1e-5 if kind == "float32" else 5e-2
    assert apart(own.encode(encoder, given_states, runs, found), wanted) <= most


def test_a_token_has_the_same_bits_in_any_company():
    own, entry, encoder = kernels(), entry_of(), Encoder(parts_of("float32"))
    words, positions = rows(range(90)), rows([i % POSITIONS for i in range(90)])
    states = normed(entry, words.tolist(), positions.tolist()).float()
    runs = [(i, 1, 1) for i in range(90)]
    whole = own.encode(encoder, states, runs, own.lookup(entry, torch.float32).of(words, positions))
    table = own.lookup(entry, torch.float32)
    for i in (89, 3, 0, 40):
        alone = own.encode(encoder, states[i : i + 1], [(0, 1, 1)], table.of(words[i : i + 1], positions[i : i + 1]))
        assert torch.equal(alone[0], whole[i])


@pytest.mark.parametrize(("words", "positions"), [([WORDS], [0]), ([-1], [0]), ([0], [POSITIONS]), ([0], [-1])])
def test_what_is_in_no_table_is_no_token(own, words, positions):
    entry = entry_of()
    with pytest.raises(IndexError, match="words or positions"):
        own.lookup(entry, torch.float32).of(rows(words), rows(positions))
    with pytest.raises(IndexError, match="words or positions"):
        own.embed(entry, rows(words), rows(positions))


def test_a_word_without_finite_numbers_makes_only_itself_none(own):
    entry, encoder = entry_of(), Encoder(parts_of("float32"))
    entry.words[7, 3], entry.words[8, 4] = float("inf"), float("nan")
    words, positions, runs = rows([7, 5, 8]), rows([0, 0, 0]), [(0, 3, 1)]
    states = own.embed(entry, words, positions)
    assert states.isfinite().all(dim=1).tolist() == [False, True, False]
    found = own.lookup(entry, torch.float32).of(words, positions)
    assert own.encode(encoder, states, runs, found).isfinite().all(dim=1).tolist() == [False, True, False]


@each_float
@pytest.mark.parametrize("width", [15, 48, 70])
def test_embeddings_are_the_norm_of_a_sum(own, kind, width):
    entry = entry_of(kind, width)
    words, positions = rows([0, WORDS - 1, 5, 5]), rows([0, POSITIONS - 1, 3, 4])
    given_rows = own.embed(entry, words, positions)
    wanted = normed(entry, words.tolist(), positions.tolist())
    assert given_rows.dtype == kind
    torch.testing.assert_close(given_rows.double(), wanted, rtol=1e-5, atol=1e-5 if kind == torch.float32 else 0.1)
