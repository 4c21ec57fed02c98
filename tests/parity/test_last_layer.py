"""A last layer for first tokens alone: where [CLS] pooling is all that asks, and to the last bit the same."""

import numpy as np
import pytest
import tiny_models as tiny
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from torch import nn

from tests.unit.kernels.checks import needed, several_threads
from worker.engine import Embedder, encoder_layers, first
from worker.engine.kernels import kernels

pytestmark = needed

TEXTS = [text for text in tiny.TEXTS if text.strip()]
SAID = "the last for first tokens alone"


@pytest.fixture
def model(base, tmp_path):
    """A model of some kind, with modules behind it."""

    def build(kind="bert", style="wordpiece", modules=None, **pooling):
        behind = modules or [Pooling(tiny.WIDTH, **{"pooling_mode": "cls", **pooling})]
        transformer = Transformer(str(base(kind, style)))
        SentenceTransformer(modules=[transformer, *behind], device="cpu").save(str(tmp_path))
        return tmp_path

    return build


@pytest.fixture
def plain(monkeypatch):
    """Loads a network whose last layer is computed in full."""

    def load(folder, **options):
        with monkeypatch.context() as patched:
            patched.setattr(first, "with_first_tokens", lambda network, _spec: network)
            return Embedder.load(folder, **options)

    return load


def first_only(embedder):
    return SAID in embedder.describe()["kernels"]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(
    ("kind", "style"), [("bert", "wordpiece"), ("roberta", "roberta"), ("distilbert", "wordpiece")]
)
def test_the_same_bits(model, plain, kind, style, dtype):
    folder = model(kind, style)
    embedder, usual = (load(folder, dtype=dtype) for load in (Embedder.load, plain))
    assert (first_only(embedder), first_only(usual)) == (True, False)
    np.testing.assert_array_equal(embedder.embed(TEXTS), usual.embed(TEXTS))
    if dtype == "float32":
        oracle = SentenceTransformer(str(folder), device="cpu")
        oracle.max_seq_length = embedder.spec.max_tokens
        np.testing.assert_allclose(embedder.embed(TEXTS), oracle.encode(TEXTS), atol=2e-6)


def test_the_last_layer_gives_first_tokens_alone(model, monkeypatch):
    embedder, rows = Embedder.load(model(), dtype="float32"), []
    real = kernels().encode_first
    monkeypatch.setattr(kernels(), "encode_first", lambda *given: rows.append(real(*given)) or rows[-1])
    embedder.embed(TEXTS)
    assert sum(map(len, rows)) == len(TEXTS)


@pytest.mark.parametrize("pooling", ["mean", "max", "lasttoken", ("cls", "mean")])
def test_other_pooling_has_all_tokens(model, pooling):
    folder = model(pooling_mode=pooling)
    embedder = Embedder.load(folder, dtype="float32")
    assert not first_only(embedder)
    oracle = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(embedder.embed(TEXTS), oracle, atol=2e-6)


def test_a_prompt_that_does_not_count_leaves_another_token_first(model):
    folder = model(include_prompt=False)
    embedder = Embedder.load(folder, dtype="float32")
    oracle = SentenceTransformer(str(folder), device="cpu")
    assert first_only(embedder)
    for prompt in ("", "the question is: "):
        vectors = embedder.embed(TEXTS, prompt=prompt)
        np.testing.assert_allclose(vectors, oracle.encode(TEXTS, prompt=prompt or None), atol=2e-6)


def test_modules_behind_pooling_see_the_same(model):
    dense = Dense(tiny.WIDTH, 12)
    folder = model(modules=[Pooling(tiny.WIDTH, pooling_mode="cls"), dense])
    embedder = Embedder.load(folder, dtype="float32")
    assert first_only(embedder)
    oracle = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(embedder.embed(TEXTS), oracle, atol=2e-6)


def test_a_text_beyond_what_a_kernel_takes_goes_through_the_module(model, monkeypatch):
    embedder = Embedder.load(model(), dtype="float32")
    whole = embedder.embed(TEXTS)
    monkeypatch.setattr(encoder_layers, "LONGEST", 20)
    np.testing.assert_allclose(embedder.embed(TEXTS), whole, atol=1e-6)


class Behind(nn.Module):
    """An encoder that mixes the tokens once more."""

    def __init__(self, plain):
        super().__init__()
        self.plain = plain

    def forward(self, *given, **named):
        output = self.plain(*given, **named)
        output.last_hidden_state = output.last_hidden_state + output.last_hidden_state.mean(dim=1, keepdim=True)
        return output


def test_a_layer_that_is_not_the_end_is_computed_in_full(model, plain, monkeypatch):
    real = first.decide

    def decide(network, *more, **options):
        network.encoder = Behind(network.encoder)
        return real(network, *more, **options)

    monkeypatch.setattr(first, "decide", decide)
    folder = model()
    embedder, usual = (load(folder, dtype="float32") for load in (Embedder.load, plain))
    assert not first_only(embedder)
    np.testing.assert_array_equal(embedder.embed(TEXTS), usual.embed(TEXTS))


def test_with_several_threads_the_module_computes(model, monkeypatch):
    embedder = Embedder.load(model(), dtype="float32")
    whole = embedder.embed(TEXTS)
    monkeypatch.setattr(kernels(), "encode_first", pytest.fail)
    with several_threads():
        np.testing.assert_allclose(embedder.embed(TEXTS), whole, atol=1e-6)
