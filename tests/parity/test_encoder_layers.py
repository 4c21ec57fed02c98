"""Layers of an encoder in one call each: found in networks of many kinds, and left alone where they do more."""

import numpy as np
import pytest
import tiny_models as tiny
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer, WeightedLayerPooling
from torch import nn

from tests.unit.kernels.checks import needed, several_threads
from worker.engine import Embedder, encoder_layers, first
from worker.engine.encoder_layers import EncoderLayer
from worker.engine.kernels import kernels

pytestmark = needed

TEXTS = [text for text in tiny.TEXTS if text.strip()]
FAMILIES = [
    ("bert", "wordpiece"), ("roberta", "roberta"), ("xlm-roberta", "roberta"), ("electra", "wordpiece"),
    ("camembert", "roberta"), ("distilbert", "wordpiece"), ("ernie", "wordpiece"), ("data2vec-text", "roberta"),
]  # fmt: skip


def joined(embedder):
    return sum(isinstance(module, EncoderLayer) for module in embedder.parts.network.model.modules())


@pytest.fixture(autouse=True)
def nothing_looked_up(monkeypatch):
    """What is looked up is not rounded to levels of integers, and so a little other than what the parts give."""
    monkeypatch.setattr(first, "looked_up", lambda network, _spec, _found: network)


@pytest.fixture
def plain(monkeypatch):
    """Loads a network whose layers stay modules of many parts."""

    def load(folder, **options):
        with monkeypatch.context() as patched:
            patched.setattr(first, "whole_layers", lambda network, spec: network)
            return Embedder.load(folder, **options)

    return load


@pytest.mark.parametrize(("kind", "style"), FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_found_in_many_kinds_and_the_same_vectors(base, plain, kind, style, dtype):
    embedder, usual = (load(base(kind, style), dtype=dtype) for load in (Embedder.load, plain))
    assert (joined(embedder), joined(usual)) == (2, 0)
    assert embedder.describe()["kernels"] == "compiled for this CPU; 2 layers in one call each"
    # Where sums were torch's own, some levels of integers are rounded to the other side.
    atol = 1e-6 if dtype == "float32" or kind != "distilbert" else 0.05
    np.testing.assert_allclose(embedder.embed(TEXTS), usual.embed(TEXTS), atol=atol)


@pytest.mark.parametrize(
    ("kind", "style", "changes"),
    [
        ("bert", "wordpiece", {"is_decoder": True}),
        ("bert", "wordpiece", {"hidden_act": "relu"}),
        ("nomic_bert", "wordpiece", {}),
        ("modernbert", "wordpiece", {}),
        ("albert", "wordpiece", {}),
        ("mpnet", "roberta", {}),
    ],
)
def test_what_does_more_or_other_things_stays_as_it_is(base, plain, kind, style, changes):
    embedder, usual = (load(base(kind, style, **changes), dtype="float32") for load in (Embedder.load, plain))
    assert joined(embedder) == 0
    np.testing.assert_array_equal(embedder.embed(TEXTS), usual.embed(TEXTS))


def test_layers_that_are_looked_at_one_by_one_stay(base, plain, tmp_path):
    weights = nn.Parameter(torch.tensor([6.0, 3.0, 1.0]))
    layers = WeightedLayerPooling(tiny.WIDTH, num_hidden_layers=2, layer_start=0, layer_weights=weights)
    transformer = Transformer(str(base("bert")), config_kwargs={"output_hidden_states": True})
    modules = [transformer, layers, Pooling(tiny.WIDTH)]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path))
    tiny.rewrite(tmp_path / "config.json", {"output_hidden_states": True})
    embedder = Embedder.load(tmp_path, dtype="float32")
    assert joined(embedder) == 0
    np.testing.assert_array_equal(embedder.embed(TEXTS), plain(tmp_path, dtype="float32").embed(TEXTS))


def test_a_text_beyond_what_a_kernel_takes_goes_through_the_module(base, monkeypatch):
    folder = base("bert")
    embedder = Embedder.load(folder, dtype="float32")
    whole = embedder.embed(TEXTS)
    monkeypatch.setattr(encoder_layers, "LONGEST", 20)
    monkeypatch.setattr(kernels(), "encode", pytest.fail)
    longer = [text for text in TEXTS if len(embedder.tokenize([text])[0]) > 20]
    rows = [TEXTS.index(text) for text in longer]
    assert longer
    np.testing.assert_allclose(embedder.embed(longer), whole[rows], atol=1e-6)


def test_with_several_threads_the_module_computes(base, monkeypatch):
    embedder = Embedder.load(base("bert"), dtype="float32")
    whole = embedder.embed(TEXTS)
    monkeypatch.setattr(kernels(), "encode", pytest.fail)
    with several_threads():
        np.testing.assert_allclose(embedder.embed(TEXTS), whole, atol=1e-6)


class Doubled(nn.Module):
    """A layer that does something on top; and one that another module asks for more than its output."""

    def __init__(self, layer, *, attribute):
        super().__init__()
        self.layer, self.attribute = layer, attribute

    def forward(self, states, *more, **options):
        if self.attribute:
            return self.layer(states, *more, **options) * self.layer.intermediate.factor
        return self.layer(states, *more, **options) * 1.5


@pytest.mark.parametrize("attribute", [False, True])
def test_a_module_around_a_layer_is_none_and_one_that_is_looked_into_stays(base, plain, monkeypatch, attribute):
    real = encoder_layers.whole_layers
    before = []

    def changed(network, spec):
        layers = network.model.encoder.layer
        layers[1].intermediate.factor = 1.5
        layers[1] = Doubled(layers[1], attribute=attribute)
        trial = encoder_layers.sequences(network, 100, 50)
        before.append(network.features(*trial).outcome)
        made = real(network, spec)
        torch.testing.assert_close(made.features(*trial).outcome, before[0], rtol=1e-5, atol=1e-5)
        return made

    monkeypatch.setattr(first, "whole_layers", changed)
    embedder = Embedder.load(base("bert"), dtype="float32")
    # One that cannot be joined lets none be: only what the network gives at its end is compared.
    assert joined(embedder) == (0 if attribute else 2)


class Halved(nn.Module):
    """All parts of a layer, in their order; only what the first of them adds is another."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, states, *more, **options):
        mixed = self.layer.attention.self(states, **options)[0]
        middle = self.layer.attention.output(mixed, states * 0.5)
        return self.layer.output(self.layer.intermediate(middle), middle)


def test_one_that_is_none_leaves_the_others(base, monkeypatch):
    real = encoder_layers.whole_layers

    def changed(network, spec):
        layers = network.model.encoder.layer
        layers[1] = Halved(layers[1])
        return real(network, spec)

    monkeypatch.setattr(first, "whole_layers", changed)
    assert joined(Embedder.load(base("bert"), dtype="float32")) == 1
