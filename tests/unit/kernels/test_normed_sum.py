"""A part of a network that adds and norms is found by what it gives, not by its name."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.unit.kernels.checks import needed, normal
from worker.engine.kernel_linear import KernelLinear, NormedSum
from worker.engine.kernels import kernels
from worker.engine.normed_sum import with_normed_sums

pytestmark = needed


class Output(nn.Module):
    """The usual; and what else such a module may do."""

    def __init__(self, use="usual"):
        super().__init__()
        torch.manual_seed(0)
        self.dense = KernelLinear(nn.Linear(48, 24), kernels())
        self.norm, self.dropout, self.use = nn.LayerNorm(24), nn.Dropout(0.1), use
        if use == "another layer":
            self.more = nn.Linear(24, 24)

    def forward(self, states, residual):
        output = self.dropout(self.dense(states))
        if self.use == "norm first":
            return self.norm(output) + residual
        if self.use == "scaled":
            residual = residual * 1.01
        if self.use == "another layer":
            output = self.more(output)
        return self.norm(output + residual)


class OneInput(Output):
    """Adds what it has of its own."""

    def forward(self, states):
        return self.norm(self.dense(states))


@pytest.mark.parametrize("use", ["usual", "norm first", "scaled", "another layer", "one input"])
def test_found_only_where_it_gives_the_same(use):
    part = OneInput() if use == "one input" else Output(use)
    model = nn.ModuleList([part]).eval()
    inputs = [normal(5, 48)] if use == "one input" else [normal(5, 48), normal(5, 24)]
    with torch.inference_mode():
        before = model[0](*inputs)
        with_normed_sums(SimpleNamespace(model=model))
        assert isinstance(model[0], NormedSum) == (use == "usual")
        torch.testing.assert_close(model[0](*inputs), before, rtol=1e-5, atol=1e-6)
