"""Linear layers with their weights laid out: the same vectors, or the network stays as it is."""

import numpy as np
import pytest
import tiny_models as tiny
import torch
from torch import nn

from tests.unit.kernels.checks import needed
from worker.engine import Embedder, prepack
from worker.engine.kernel_linear import FeedForward, KernelLinear
from worker.engine.packed_linear import PackedLinear

TEXTS = [text for text in tiny.TEXTS if text.strip()]


@pytest.fixture(params=["oneDNN", pytest.param("our own products", marks=needed)])
def whose(request, monkeypatch):
    """As on a machine where it is faster."""
    monkeypatch.setattr(prepack, "gains", lambda device, dtype: dtype == torch.float32)
    if request.param == "oneDNN":
        monkeypatch.setattr(prepack, "kernels", lambda: None)
    return request.param


@pytest.fixture
def plain(monkeypatch):
    """Loads a network whose layers stay as they are."""

    def load(folder):
        with monkeypatch.context() as patched:
            patched.setattr(prepack, "gains", lambda *_: False)
            patched.setattr(prepack, "kernels", lambda: None)
            return Embedder.load(folder, dtype="float32")

    return load


def kinds_of_layers(embedder):
    """How many are as they came, and how many are laid out."""
    modules = list(embedder.parts.network.model.modules())
    ours = [module for module in modules if isinstance(module, KernelLinear | FeedForward)]
    laid_out = sum(isinstance(module, PackedLinear) for module in modules) + sum(len(one.layers) for one in ours)
    return [sum(type(module) is nn.Linear for module in modules), laid_out]


@pytest.mark.parametrize(
    ("kind", "style"),
    [("bert", "wordpiece"), ("albert", "wordpiece"), ("mpnet", "roberta"), ("t5", "roberta"), ("qwen3", "decoder")],
)
def test_the_same_vectors(base, kind, style, whose, plain):
    packed, usual = Embedder.load(base(kind, style), dtype="float32"), plain(base(kind, style))
    linears, none = kinds_of_layers(usual)
    assert kinds_of_layers(packed) == [none, linears] == [0, linears]
    assert "weights" not in usual.describe()
    assert packed.describe()["weights"] == f"prepacked for {whose}"
    np.testing.assert_allclose(packed.embed(TEXTS), usual.embed(TEXTS), atol=1e-6)


BROKEN = {
    "RuntimeError": lambda layer, states: states @ torch.zeros(1),
    "differ": lambda layer, states: layer.right(states) * 1.001,
}


@pytest.mark.parametrize("reason", list(BROKEN))
def test_a_network_that_does_not_bear_it_stays_as_it_is(base, whose, plain, monkeypatch, reason):
    usual = plain(base("bert"))
    layer = PackedLinear if whose == "oneDNN" else KernelLinear
    monkeypatch.setattr(layer, "right", layer.forward, raising=False)
    monkeypatch.setattr(layer, "forward", BROKEN[reason])
    refused = Embedder.load(base("bert"), dtype="float32")
    assert kinds_of_layers(refused) == kinds_of_layers(usual)
    assert reason in refused.describe()["weights"]
    np.testing.assert_array_equal(refused.embed(TEXTS), usual.embed(TEXTS))
