"""A layer of an encoder in one call: the parts one by one are its oracle, to the last bit."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.unit.kernels.checks import HAS_HALVES, needed, normal
from worker.engine.int8 import quantized_weights
from worker.engine.kernels import Encoder, EncoderParts, Norm, kernels

pytestmark = needed

FLOATS, HALVES, INTEGERS = "float32", "bfloat16", "int8"
PAIRED, HALF_INTEGERS = "int8, products of attention in bfloat16", "int8, attention in bfloat16"
KINDS = [
    FLOATS,
    *([HALVES] if HAS_HALVES else []),
    INTEGERS,
    *([PAIRED, HALF_INTEGERS] if HAS_HALVES else []),
]
lengths = st.lists(st.integers(1, 90) | st.sampled_from([126, 250, 257, 300]), min_size=1, max_size=12)


def layer(outputs, inputs, kind):
    linear = nn.Linear(inputs, outputs)
    weight, bias = linear.weight.detach() * 2, linear.bias.detach()
    if kind in (INTEGERS, PAIRED, HALF_INTEGERS):
        weight, scales = quantized_weights(weight, 127)
        return kernels().layer(weight, bias, scales)
    dtype = torch.bfloat16 if kind == HALVES else torch.float32
    return kernels().layer(weight.to(dtype), bias.to(dtype))


def norm(width, kind):
    made = nn.LayerNorm(width)
    made.weight.data.normal_(), made.bias.data.normal_()
    return made.to(torch.bfloat16 if kind == HALVES else torch.float32)


def parts_of(kind, width=48, heads=2, each=14, middle=70):
    torch.manual_seed(5)
    inner = heads * each
    parts = EncoderParts(
        inputs=tuple(layer(inner, width, kind) for _ in range(3)), mixed=layer(width, inner, kind),
        after_mixed=norm(width, kind), up=layer(middle, width, kind), down=layer(width, middle, kind),
        after_all=norm(width, kind), heads=heads, scale=0.3, pairs=kind in (HALVES, PAIRED, HALF_INTEGERS),
    )  # fmt: skip
    if kind == HALF_INTEGERS:
        for one in parts.inputs:
            one.gives(torch.bfloat16)
        parts.mixed.takes(torch.bfloat16)
    return parts


def runs_of(lengths):
    """Neighbours of equal length as one run, as networks have them."""
    runs = []
    for length in lengths:
        if runs and runs[-1][2] == length:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, length)
        else:
            runs.append((sum(n * each for _, n, each in runs), 1, length))
    return runs


def states_of(tokens, kind, width=48):
    return normal(1, tokens, width).to(torch.bfloat16 if kind == HALVES else torch.float32)


def one_by_one(own, parts, states, runs):
    """What the parts give, each in a call of its own over all rows."""
    heads = [
        own.linear((one,), states).view(1, states.shape[1], parts.heads, -1).transpose(1, 2) for one in parts.inputs
    ]
    mixed = own.attention(heads, runs, parts.scale, rough=parts.pairs).flatten(1)[None]
    first = own.linear((parts.mixed,), mixed, Norm(states, parts.after_mixed))
    return own.linear((parts.up, parts.down), first, Norm(first, parts.after_all))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(lengths=lengths, each=st.sampled_from([2, 14, 32]), heads=st.integers(1, 3))
def test_the_same_bits_as_its_parts_one_by_one(kind, lengths, each, heads):
    own, runs = kernels(), runs_of(lengths)
    parts, states = parts_of(kind, heads=heads, each=each), states_of(sum(lengths), kind)
    given_states = states.clone()
    assert torch.equal(own.encode(Encoder(parts), states, runs), one_by_one(own, parts, states, runs))
    assert torch.equal(states, given_states)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(lengths=lengths)
def test_first_tokens_alone_have_the_same_bits(kind, lengths):
    own, encoder, runs = kernels(), Encoder(parts_of(kind)), runs_of(lengths)
    states = states_of(sum(lengths), kind)
    begins = [sum(lengths[:text]) for text in range(len(lengths))]
    assert torch.equal(own.encode_first(encoder, states, runs), own.encode(encoder, states, runs)[0, begins])


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_does_not_depend_on_its_neighbours_to_the_last_bit(own, kind):
    lengths = [300, 257, 90, 90, 90, 5, 5, 1]
    encoder, states = Encoder(parts_of(kind)), states_of(sum(lengths), kind)
    output, begin = own.encode(encoder, states, runs_of(lengths)), 0
    for length in lengths:
        text = states[:, begin : begin + length]
        assert torch.equal(own.encode(encoder, text, [(0, 1, length)]), output[:, begin : begin + length])
        begin += length


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_stays_in_its_text(own, kind):
    encoder, runs = Encoder(parts_of(kind)), runs_of([17, 7, 3])
    states = states_of(27, kind)
    before = own.encode(encoder, states, runs)
    states[0, 20, 3] = float("nan")
    after = own.encode(encoder, states, runs)
    assert not after[0, 17:24].isfinite().all()
    assert torch.equal(after[0, :17], before[0, :17])
    assert torch.equal(after[0, 24:], before[0, 24:])


def test_a_longer_text_than_before_gets_the_memory_that_it_needs(own):
    parts = parts_of(FLOATS)
    for length in (3, 2048, 40):
        states, runs = states_of(length, FLOATS), [(0, 1, length)]
        assert torch.equal(own.encode(Encoder(parts), states, runs), one_by_one(own, parts, states, runs))


MISFITS = {
    "not alike": lambda parts: replace(parts, inputs=(*parts.inputs[:2], layer(28, 40, FLOATS))),
    "3 heads": lambda parts: replace(parts, heads=3),
    "4 heads": lambda parts: replace(parts, heads=4),
    "other sizes": lambda parts: replace(parts, mixed=layer(47, 28, FLOATS)),
    "layers of other sizes": lambda parts: replace(parts, down=layer(48, 69, FLOATS)),
    "norms of other sizes": lambda parts: replace(parts, after_all=norm(47, FLOATS)),
    "several kinds": lambda parts: replace(parts, after_mixed=norm(48, HALVES)),
    "several": lambda parts: replace(parts, down=layer(48, 70, HALVES)),
    "without pairs": lambda parts: replace(parts_of(HALVES), pairs=False),
}


@pytest.mark.parametrize("what", list(MISFITS))
def test_parts_that_do_not_fit_are_no_layer(what):
    with pytest.raises(ValueError, match=f"no layer of an encoder: .*{what}"):
        Encoder(MISFITS[what](parts_of(FLOATS)))


def test_what_is_no_input_of_it_is_refused(own):
    encoder = Encoder(parts_of(FLOATS))
    for states in (states_of(9, HALVES), normal(1, 9, 24), states_of(8, FLOATS)):
        with pytest.raises(ValueError, match="no input of 48 numbers a token"):
            own.encode(encoder, states, [(0, 1, 9)])
