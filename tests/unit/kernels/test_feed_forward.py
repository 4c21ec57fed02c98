"""Two layers with GELU between are found, and made one, only where nothing else lies between."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.unit.kernels.checks import needed
from worker.engine.feed_forward import join
from worker.engine.kernel_linear import FeedForward, KernelLinear
from worker.engine.kernels import kernels

pytestmark = needed


@pytest.fixture(autouse=True, params=[False, True], ids=["floats", "integers"])
def integers(request, monkeypatch):
    """Both kinds of layers."""
    monkeypatch.setattr(Net, "integers", request.param)
    return request.param


class Net(nn.Module):
    """The usual, and what else a network may do with the same layers."""

    integers = False
    dtype = torch.float32

    def __init__(self, use="usual", between=None):
        super().__init__()
        self.up, self.down = (KernelLinear(nn.Linear(24, 24), kernels(), integers=self.integers) for _ in range(2))
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
        model=model,
        integers="all" if Net.integers else "",
        features=torch.inference_mode()(lambda states: SimpleNamespace(outcome=model(states))),
    )


@pytest.mark.parametrize(
    ("use", "between", "found"),
    [
        ("usual", nn.GELU(), True),
        ("scaled between", nn.GELU(), False),
        ("middle used twice", nn.GELU(), False),
        ("what comes after used twice", nn.GELU(), False),
        ("usual", nn.GELU("tanh"), False),
        ("usual", nn.ReLU(), False),
    ],
)
def test_found_only_where_nothing_else_lies_between(use, between, found):
    torch.manual_seed(1)
    model = Net(use, between)
    trial = torch.randn(40, 24)
    there = network(model)
    before = there.features(trial).outcome
    join(there, [trial])
    assert any(isinstance(module, FeedForward) for module in model.modules()) == found
    after = there.features(trial).outcome
    assert (after - before).norm() <= 5e-3 * before.norm()
    if not found:
        assert torch.equal(after, before)


def test_a_network_of_several_joins_each():
    model = nn.Sequential(Net(), Net("middle used twice"), Net())
    model.dtype = torch.float32
    join(network(model), [torch.randn(9, 24)])
    # One that cannot be joined lets none be: only what the network gives at its end is compared.
    assert sum(isinstance(module, FeedForward) for module in model.modules()) == 0
