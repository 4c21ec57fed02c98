"""Our own products against double precision and integer arithmetic: any sizes, and no row knows its neighbours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import gelu, layer_norm

from tests.unit.kernels.checks import each_float, floats_or_integers, needed, normal
from worker.engine.kernel_linear import FeedForward, KernelLinear, NormedSum, is_best
from worker.engine.kernels import kernels

pytestmark = needed
#: Of numbers that are sums of some hundred products of numbers around 1.
NEAR = {torch.float32: 2e-6, torch.bfloat16: 6e-3}
sizes = st.integers(1, 150)


def linear(inputs, outputs, *, kind=torch.float32, seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias).to(kind)


def ours(layer, *, integers=False):
    return KernelLinear(layer, kernels(), integers=integers)


def exactly(layer, states):
    output = states.double() @ layer.weight.double().T
    return output if layer.bias is None else output + layer.bias.double()


def apart(found, wanted):
    return float((found.double() - wanted).norm() / wanted.norm().clamp(min=1e-9))


@each_float
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(0, 14), inputs=sizes, outputs=sizes, bias=st.booleans(), seed=st.integers(0, 99))
def test_a_layer_of_any_size_is_its_products(kind, rows, inputs, outputs, bias, seed):
    inputs += inputs % 2
    layer, states = linear(inputs, outputs, kind=kind, seed=seed, bias=bias), normal(2, rows, inputs, kind=kind)
    with torch.inference_mode():
        output = ours(layer)(states)
        assert output.shape == (2, rows, outputs)
        assert output.dtype == kind
        assert apart(output, exactly(layer, states)) <= NEAR[kind]


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 14), inputs=sizes, outputs=sizes, seed=st.integers(0, 99))
def test_integers_are_multiplied_exactly(rows, inputs, outputs, seed):
    generator = torch.Generator().manual_seed(seed)
    layer = linear(inputs, outputs)
    states = torch.randint(-127, 128, (rows, inputs), generator=generator).float()
    levels = torch.randint(-127, 128, (outputs, inputs), generator=generator).float()
    # One level of 127 in each row makes its scale 1, so that nothing is rounded.
    states[:, seed % inputs] = 127
    levels[:, seed % inputs] = -127
    with torch.inference_mode():
        layer.weight.copy_(levels)
        output = ours(layer, integers=True)(states)
        assert torch.equal(output, states @ levels.T + layer.bias)


@floats_or_integers
@each_float
def test_long_rows_and_many_of_them(kind, integers):
    """More words than are taken at once, and more rows."""
    kind = torch.float32 if integers else kind
    layer, states = linear(3500, 70, kind=kind), normal(401, 3500, kind=kind)
    with torch.inference_mode():
        output = ours(layer, integers=integers)(states)
        assert apart(output, exactly(layer, states)) <= (1e-2 if integers else NEAR[kind])
        for row in (0, 191, 192, 400):
            assert torch.equal(ours(layer, integers=integers)(states[row]), output[row])


def test_levels_of_very_unlike_rows_are_the_nearest():
    layer = linear(200, 200, bias=False)
    states = normal(9, 200) * 10.0 ** torch.arange(-8, 10, 2)[:, None]
    with torch.inference_mode():
        layer.weight.copy_(torch.eye(200))
        scales = states.abs().amax(1, keepdim=True) / 127
        off = ours(layer, integers=True)(states) - states
    assert (off.abs() <= 0.501 * scales).all()
    zeros = torch.zeros(3, 200)
    with torch.inference_mode():
        assert torch.equal(ours(layer, integers=True)(zeros), zeros)


@floats_or_integers
@each_float
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 300), inner=st.integers(1, 80), bias=st.booleans())
def test_two_layers_in_one_are_one_after_the_other(kind, integers, rows, inner, bias):
    kind = torch.float32 if integers else kind
    up, down = linear(24, 2 * inner, kind=kind, bias=bias), linear(2 * inner, 40, kind=kind, seed=1, bias=bias)
    states = normal(rows, 24, kind=kind)
    with torch.inference_mode():
        one = FeedForward(ours(up, integers=integers), ours(down, integers=integers))
        output = one(states)
        wanted = exactly(down, gelu(exactly(up, states)))
        assert apart(output, wanted) <= (3e-2 if integers else 2 * NEAR[kind])
        assert torch.equal(one(states[-1:]), output[-1:]), "a row depends on its neighbours"


@floats_or_integers
@each_float
def test_gelu_between_layers_is_near_far_out_too(kind, integers):
    kind = torch.float32 if integers else kind
    up, down = linear(2, 64, kind=kind, bias=False), linear(64, 64, kind=kind, bias=False)
    states = torch.tensor([-300.0, -30, -6, -3, -1e-3, 1e-3, 3, 6, 30, 300], dtype=kind)[:, None]
    with torch.inference_mode():
        up.weight.fill_(0.5)
        down.weight.copy_(torch.eye(64))
        output = FeedForward(ours(up, integers=integers), ours(down, integers=integers))(states.expand(-1, 2))
        off = (output.double() - gelu(states.double())).abs()
    # Levels of 127, the eight bits of bfloat16, and what the shorter formula leaves: 1e-4, far out 3e-7 of x.
    assert (off <= 5e-3 * gelu(states.double()).abs() + 1e-4 + 3e-7 * states.double().abs()).all()


@each_float
@pytest.mark.parametrize("two", [False, True])
def test_a_normed_sum_is_the_norm_of_the_sum(kind, two):
    up, down, norm = linear(38, 90, kind=kind), linear(90, 70, kind=kind), nn.LayerNorm(70).to(kind)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    inner = FeedForward(ours(up), ours(down)) if two else ours(down)
    states, residual = normal(3, 201, 38 if two else 90, kind=kind), normal(3, 201, 70, seed=1, kind=kind)
    with torch.inference_mode():
        output = NormedSum(inner, norm)(states, residual)
        total = exactly(down, gelu(exactly(up, states)) if two else states) + residual.double()
        wanted = layer_norm(total, (70,), norm.weight.double(), norm.bias.double(), norm.eps)
        assert apart(output, wanted) <= 2 * NEAR[kind]


@floats_or_integers
@each_float
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_so_and_in_its_row(kind, integers, wrong):
    kind = torch.float32 if integers else kind
    one = FeedForward(*(ours(linear(24, 24, kind=kind, seed=s), integers=integers) for s in (0, 1)))
    states = normal(9, 24, kind=kind)
    with torch.inference_mode():
        for layer in (one, ours(linear(24, 70, kind=kind), integers=integers)):
            clean = states.clone()
            before = layer(clean)
            clean[4, 7] = wrong
            after = layer(clean)
            assert not after[4].isfinite().all()
            assert torch.equal(after[[0, 1, 2, 3, 5, 6, 7, 8]], before[[0, 1, 2, 3, 5, 6, 7, 8]])


def test_what_does_not_fit_is_refused():
    layer, norm = ours(linear(24, 30)), nn.LayerNorm(30)
    with pytest.raises(ValueError, match=r"24 inputs in torch\.float32 are wanted, not 25"):
        layer(normal(3, 25))
    with pytest.raises(ValueError, match=r"torch\.bfloat16"):
        layer(normal(3, 24, kind=torch.bfloat16))
    for residual in (normal(2, 30), normal(3, 30, kind=torch.bfloat16)):
        with pytest.raises(ValueError, match="cannot be added"), torch.inference_mode():
            NormedSum(layer, norm)(normal(3, 24), residual)
    with pytest.raises(ValueError, match="cannot be added"), torch.inference_mode():
        NormedSum(layer, nn.LayerNorm(15))(normal(3, 24), normal(3, 30))


def test_states_may_lie_in_any_way():
    layer, states = ours(linear(24, 30)), normal(24, 7)
    with torch.inference_mode():
        assert torch.equal(layer(states.T), layer(states.T.contiguous()))
        assert layer(normal(24)).shape == (30,)


def test_where_torch_has_better_products_those_are_taken(own, monkeypatch):
    assert own.multiplies(torch.float32)
    assert not own.multiplies(torch.float16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert [own.multiplies(kind) for kind in (torch.float32, torch.bfloat16, torch.int8)] == [True, False, False]


def test_words_are_of_whole_pairs(own):
    assert is_best(linear(24, 3, kind=torch.bfloat16), own) == own.multiplies(torch.bfloat16)
    assert not is_best(linear(25, 3, kind=torch.bfloat16), own)
    with pytest.raises(ValueError, match="no whole words"):
        KernelLinear(linear(25, 3, kind=torch.bfloat16), own)
    assert is_best(linear(25, 3), own)
