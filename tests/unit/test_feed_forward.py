"""Two integer layers with GELU between: the same in one as one after the other, and found only where that is so."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import gelu

from worker.engine import int8
from worker.engine.feed_forward import joined
from worker.engine.int8 import Int8FeedForward, Int8Linear
from worker.engine.kernels import kernels


def layers(width=24, wide=96, *, bias=True, seed=0):
    torch.manual_seed(seed)
    return Int8Linear(nn.Linear(width, wide, bias=bias)), Int8Linear(nn.Linear(wide, width, bias=bias))


@pytest.fixture(params=[True, False], ids=["kernels", "torch"])
def own(request, monkeypatch):
    """With kernels where there are any, and without."""
    monkeypatch.setattr(int8, "kernels", kernels if request.param else lambda: None)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 700), wide=st.integers(1, 80), bias=st.booleans(), kernel=st.booleans())
def test_in_one_is_one_after_the_other(rows, wide, bias, kernel):
    up, down = layers(wide=wide, bias=bias)
    states = torch.randn(rows, 24)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(int8, "_BLOCK_NUMBERS", 64 * wide)
        if not kernel:
            patch.setattr(int8, "kernels", lambda: None)
        one, two = Int8FeedForward(up, down)(states[None])[0], down(gelu(up(states)))
        assert one.shape == two.shape == (rows, 24)
        assert (one - two).norm() <= 5e-3 * two.norm()
        if rows and kernel and kernels() is not None:
            # torch's own GELU rounds the numbers at the end of an array otherwise.
            assert torch.equal(Int8FeedForward(up, down)(states[-1:]), one[-1:]), "a row depends on its neighbours"


def test_what_is_not_finite_stays_in_its_row(own):
    one, states = Int8FeedForward(*layers()), torch.randn(5, 24)
    with torch.inference_mode():
        before = one(states)
        states[2, 7] = float("nan")
        after = one(states)
    assert not after[2].isfinite().any()
    assert torch.equal(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]])


class Net(nn.Module):
    """The usual, and what else a network may do with the same layers."""

    def __init__(self, use="usual", between=None):
        super().__init__()
        self.up, self.down = layers(width=24, wide=24)
        self.between = between or nn.GELU()
        self.use = use

    def forward(self, states):
        middle = self.up(states)
        after = self.between(middle)
        output = self.down(after * 1.5 if self.use == "scaled between" else after)
        return {"middle used twice": output + middle, "what comes after used twice": output + after}.get(
            self.use, output
        )


def network(model):
    return SimpleNamespace(
        model=model, features=torch.inference_mode()(lambda states: SimpleNamespace(outcome=model(states)))
    )


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (Net(), True),
        (Net("scaled between"), False),
        (Net("middle used twice"), False),
        (Net("what comes after used twice"), False),
        (Net(between=nn.GELU("tanh")), False),
        (Net(between=nn.ReLU()), False),
    ],
)
def test_found_only_where_nothing_else_lies_between(model, found):
    torch.manual_seed(1)
    trial = torch.randn(40, 24)
    there = network(model)
    before = there.features(trial).outcome
    joined(there, [trial])
    assert any(isinstance(module, Int8FeedForward) for module in model.modules()) == found
    after = there.features(trial).outcome
    assert (after - before).norm() <= 5e-3 * before.norm()
    if not found:
        assert torch.equal(after, before)


def test_a_network_of_several_joins_each(own):
    model = nn.Sequential(Net(), Net("middle used twice"), Net())
    joined(network(model), [torch.randn(9, 24)])
    # One that cannot be joined lets none be: only what the network gives at its end is compared.
    assert sum(isinstance(module, Int8FeedForward) for module in model.modules()) == 0
