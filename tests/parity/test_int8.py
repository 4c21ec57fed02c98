"""Whole networks with their linear layers in integers, against the same networks in float32."""

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import cosines
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch import nn
from transformers import AutoModel

from benchmarks.docstrings import docstring_table
from benchmarks.throughput import model_folder
from schemas.errors import ModelError
from tests.unit.kernels.checks import needs_all
from worker.engine import Embedder, device, quantize
from worker.engine.int8 import Int8Linear
from worker.engine.kernel_linear import FeedForward, KernelLinear
from worker.engine.kernels import Kernels

TEXTS = [text for text in tiny.TEXTS if text.strip()]


@pytest.fixture(scope="module")
def real():
    return {dtype: Embedder.load(model_folder(), dtype=dtype) for dtype in ("float32", "int8")}


@pytest.fixture(scope="module")
def docstrings():
    return docstring_table(1500)["text"].to_pylist()[::5]


def in_integers(embedder):
    modules = list(embedder.parts.network.model.modules())
    ours = [module for module in modules if isinstance(module, KernelLinear | FeedForward)]
    return sum(isinstance(module, Int8Linear) for module in modules) + sum(len(module.layers) for module in ours)


@pytest.mark.parametrize(
    ("kind", "style"),
    [
        ("bert", "wordpiece"),
        ("distilbert", "wordpiece"),
        ("albert", "wordpiece"),
        *(("roberta", "roberta"), ("mpnet", "roberta"), ("t5", "roberta"), ("qwen3", "decoder")),
    ],
)
def test_any_network_of_linear_layers(base, kind, style):
    folder = base(kind, style)
    plain, integers = Embedder.load(folder, dtype="float32"), Embedder.load(folder, dtype="int8")
    assert in_integers(integers) > 3
    assert integers.describe()["dtype"] == "int8"
    assert integers.padded == plain.padded
    assert integers.spec.fingerprint != plain.spec.fingerprint
    vectors = integers.embed(TEXTS)
    assert cosines(vectors, plain.embed(TEXTS)).min() > 0.98
    alone = np.concatenate([integers.embed([text]) for text in TEXTS])
    # Attention is in float32, and a bit of it that rounds otherwise may move a number by one level.
    assert cosines(alone, vectors).min() > 0.9995


def test_a_layer_that_does_not_bear_it_stays_in_float32(base, tmp_path):
    folder = tmp_path / "outlier"
    model = AutoModel.from_pretrained(base("bert"))
    with torch.no_grad():
        # One input a thousand times the others, which its weight takes back: 8 bits cannot hold both.
        model.encoder.layer[0].attention.output.LayerNorm.weight[3] *= 1000
        model.encoder.layer[0].intermediate.dense.weight[:, 3] = 0
        model.encoder.layer[0].output.LayerNorm.weight[3] = 0
    model.save_pretrained(folder)
    tiny.wordpiece().save_pretrained(folder)
    embedder = Embedder.load(folder, dtype="int8")
    layers = dict(embedder.parts.network.model.named_modules())
    assert type(layers["encoder.layer.0.intermediate.dense"]) is nn.Linear
    assert in_integers(embedder) > 3
    assert "too far off in integers: encoder.layer.0.intermediate.dense" in embedder.describe()["integers"]


def test_a_network_without_linear_layers_is_refused(base, tmp_path):
    with pytest.raises(ModelError, match="no layer") as refusal:
        Embedder.load(base("gpt2", "decoder"), dtype="int8")
    assert refusal.value.way_out == "--dtype float32"
    table = StaticEmbedding(tiny.wordpiece().backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[table], device="cpu").save(str(tmp_path))
    with pytest.raises(ModelError, match="int8 makes nothing faster"):
        Embedder.load(tmp_path, dtype="int8")


def test_a_real_model_keeps_its_vectors(real, docstrings):
    found = cosines(real["int8"].embed(docstrings), real["float32"].embed(docstrings))
    # With the 7 bits of weight that a CPU without VNNI bears 0.9963 and 0.9918, with 8 bits 0.9977 and 0.9944.
    assert found.mean() > 0.995
    assert found.min() > 0.985


def test_a_real_model_keeps_the_order_of_a_search(real, docstrings):
    def nearest(embedder):
        vectors = embedder.embed(docstrings)
        return np.argsort(-(vectors[:60] @ vectors[60:].T), axis=1)[:, :10]

    both = zip(nearest(real["float32"]), nearest(real["int8"]), strict=True)
    assert np.mean([len(np.intersect1d(left, right)) / 10 for left, right in both]) > 0.88


def test_a_real_vector_is_the_same_alone_and_among_others(real, docstrings):
    embedder = real["int8"]
    alone = np.concatenate([embedder.embed([text]) for text in docstrings[:25]])
    assert np.abs(alone - embedder.embed(docstrings)[:25]).max() < 1e-6


def test_without_kernels_onednn_multiplies(base, monkeypatch):
    ours = Embedder.load(base("bert"), dtype="int8")
    monkeypatch.setattr(quantize, "kernels", lambda: None)
    theirs = Embedder.load(base("bert"), dtype="int8")
    assert any(isinstance(module, Int8Linear) for module in theirs.parts.network.model.modules())
    assert in_integers(ours) == in_integers(theirs)
    assert cosines(ours.embed(TEXTS), theirs.embed(TEXTS)).min() > 0.999


def in_bfloat16(embedder):
    """How many layers hand numbers to attention in bfloat16, and how many take them from it."""
    modules = embedder.parts.network.model.modules()
    layers = [layer for module in modules if isinstance(module, KernelLinear) for layer in module.layers]
    kinds = [(layer.kind_out == torch.bfloat16, layer.kind_in == torch.bfloat16) for layer in layers]
    return [sum(column) for column in zip(*kinds, strict=True)]


@pytest.fixture
def gains(monkeypatch):
    """A CPU that is faster in bfloat16 than in float32, whichever this one is."""
    monkeypatch.setattr(device, "bfloat16_speed", lambda: 2.0)


@needs_all
def test_attention_is_in_the_numbers_that_the_cpu_is_faster_in(base, monkeypatch):
    vectors = []
    for speed, handed_over in ((2.0, [6, 2]), (0.5, [0, 0])):
        monkeypatch.setattr(device, "bfloat16_speed", lambda speed=speed: speed)
        embedder = Embedder.load(base("bert"), dtype="int8")
        assert in_bfloat16(embedder) == handed_over
        vectors.append(embedder.embed(TEXTS))
    assert 0.998 < cosines(*vectors).min() < 1 - 1e-7


@needs_all
@pytest.mark.usefixtures("gains")
@pytest.mark.parametrize(
    ("kind", "style"), [("bert", "wordpiece"), ("distilbert", "wordpiece"), ("roberta", "roberta")]
)
def test_attention_takes_and_gives_bfloat16(base, kind, style):
    embedder = Embedder.load(base(kind, style), dtype="int8")
    layers = embedder.parts.network.model.config.num_hidden_layers
    assert in_bfloat16(embedder) == [3 * layers, layers]


@needs_all
@pytest.mark.usefixtures("gains")
def test_where_something_lies_between_layer_and_attention_they_do_not(base):
    # Positions are turned into query and key.
    assert in_bfloat16(Embedder.load(base("qwen3", "decoder"), dtype="int8")) == [0, 0]


@needs_all
@pytest.mark.usefixtures("gains")
@pytest.mark.parametrize("fails", [True, False])
def test_where_it_changes_the_outcome_they_do_not(base, monkeypatch, fails):
    usual = Embedder.load(base("bert"), dtype="float32").embed(TEXTS)
    real = Kernels.linear

    def linear(own, layers, states, after=None):
        output = real(own, layers, states, after)
        if fails and output.dtype == torch.bfloat16:
            raise RuntimeError("another kind of numbers is wanted")
        return output * 3 if output.dtype == torch.bfloat16 else output

    monkeypatch.setattr(Kernels, "linear", linear)
    integers = Embedder.load(base("bert"), dtype="int8")
    assert in_bfloat16(integers) == [0, 0]
    assert cosines(integers.embed(TEXTS), usual).min() > 0.98
