"""Linear layers with their weights laid out for oneDNN: the same vectors, or the network stays as it is."""

import numpy as np
import pytest
import tiny_models as tiny
import torch
from torch import nn

from worker.engine import Embedder, prepack
from worker.engine.prepack import PackedLinear

TEXTS = [text for text in tiny.TEXTS if text.strip()]


@pytest.fixture
def gaining(monkeypatch):
    """As on a machine where it is faster."""
    monkeypatch.setattr(prepack, "gains", lambda device, dtype: dtype == torch.float32)


def kinds_of_layers(embedder):
    modules = list(embedder.parts.network.model.modules())
    return [sum(type(module) is kind for module in modules) for kind in (nn.Linear, PackedLinear)]


@pytest.mark.parametrize(
    ("kind", "style"),
    [("bert", "wordpiece"), ("albert", "wordpiece"), ("mpnet", "roberta"), ("t5", "roberta"), ("qwen3", "decoder")],
)
def test_the_same_vectors(base, kind, style, gaining, monkeypatch):
    packed = Embedder.load(base(kind, style), dtype="float32")
    monkeypatch.setattr(prepack, "gains", lambda *_: False)
    plain = Embedder.load(base(kind, style), dtype="float32")
    linears, none = kinds_of_layers(plain)
    assert kinds_of_layers(packed) == [none, linears] == [0, linears]
    assert "weights" not in plain.describe()
    assert packed.describe()["weights"] == "prepacked for oneDNN"
    np.testing.assert_allclose(packed.embed(TEXTS), plain.embed(TEXTS), atol=1e-6)


BROKEN = {
    "RuntimeError": lambda layer, states: states @ torch.zeros(1),
    "differ": lambda layer, states: layer.right(states) * 1.001,
}


@pytest.mark.parametrize("reason", list(BROKEN))
def test_a_network_that_does_not_bear_it_stays_as_it_is(base, gaining, monkeypatch, reason):
    with monkeypatch.context() as patched:
        patched.setattr(prepack, "gains", lambda *_: False)
        plain = Embedder.load(base("bert"), dtype="float32")
    monkeypatch.setattr(PackedLinear, "right", PackedLinear.forward, raising=False)
    monkeypatch.setattr(PackedLinear, "forward", BROKEN[reason])
    refused = Embedder.load(base("bert"), dtype="float32")
    assert kinds_of_layers(refused) == kinds_of_layers(plain)
    assert reason in refused.describe()["weights"]
    np.testing.assert_array_equal(refused.embed(TEXTS), plain.embed(TEXTS))
