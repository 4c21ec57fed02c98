"""Words and positions that are looked up in a first layer: found in networks of many kinds, and nowhere else."""

import numpy as np
import pytest
import tiny_models as tiny
from sentence_transformers import SentenceTransformer
from torch import nn

from tests.unit.kernels.checks import needed, several_threads
from worker.engine import Embedder, entry, first
from worker.engine.encoder_layers import EncoderLayer
from worker.engine.kernels import kernels
from worker.engine.looked_up import KnownEmbeddings

pytestmark = needed

TEXTS = [text for text in tiny.TEXTS if text.strip()]
FAMILIES = [
    ("bert", "wordpiece"), ("roberta", "roberta"), ("xlm-roberta", "roberta"), ("camembert", "roberta"),
    ("distilbert", "wordpiece"), ("ernie", "wordpiece"), ("data2vec-text", "roberta"),
]  # fmt: skip
SAID = "query, key and value of the first looked up by word"


def modules(embedder, kind):
    return [module for module in embedder.parts.network.model.modules() if isinstance(module, kind)]


def found(embedder):
    """Whether embeddings are known, and how many layers look their inputs up."""
    layers = [layer for layer in modules(embedder, EncoderLayer) if layer.lookup is not None]
    return len(modules(embedder, KnownEmbeddings)), len(layers)


@pytest.fixture
def plain(monkeypatch):
    """Loads a network in which nothing is looked up."""

    def load(folder, **options):
        with monkeypatch.context() as patched:
            patched.setattr(first, "looked_up", lambda network, _spec, _found: network)
            return Embedder.load(folder, **options)

    return load


@pytest.mark.parametrize(("kind", "style"), FAMILIES)
def test_found_in_many_kinds_and_the_same_vectors(base, plain, kind, style):
    embedder, usual = (load(base(kind, style), dtype="float32") for load in (Embedder.load, plain))
    assert (found(embedder), found(usual)) == ((1, 1), (0, 0))
    assert embedder.describe()["kernels"].endswith(SAID)
    oracle = SentenceTransformer(str(base(kind, style)), device="cpu")
    oracle.max_seq_length = embedder.spec.max_tokens
    for vectors in (usual.embed(TEXTS), oracle.encode(TEXTS)):
        np.testing.assert_allclose(embedder.embed(TEXTS), vectors, atol=2e-6)


@pytest.mark.parametrize(("kind", "style"), FAMILIES)
def test_in_integers_no_farther_from_float32(base, plain, kind, style):
    exact = Embedder.load(base(kind, style), dtype="float32").embed(TEXTS)
    vectors, usual = (load(base(kind, style), dtype="int8").embed(TEXTS) for load in (Embedder.load, plain))
    assert np.linalg.norm(vectors - exact) < 1.1 * np.linalg.norm(usual - exact)


@pytest.mark.parametrize(
    ("kind", "style", "changes"),
    [
        ("electra", "wordpiece", {}),  # embeddings of another width
        ("nomic_bert", "wordpiece", {}),
        ("modernbert", "wordpiece", {}),
        ("albert", "wordpiece", {}),
    ],
)
def test_tokens_that_enter_in_another_way_are_not_looked_up(base, plain, kind, style, changes):
    embedder, usual = (load(base(kind, style, **changes), dtype="float32") for load in (Embedder.load, plain))
    assert found(embedder) == (0, 0)
    np.testing.assert_array_equal(embedder.embed(TEXTS), usual.embed(TEXTS))


def test_a_text_that_spells_the_padding_token_has_its_position(base):
    """RoBERTa counts no token that is the padding token, so positions are not those of a count."""
    folder = base("roberta", "roberta")
    texts = ["<pad> some words", "some <pad><pad> words", *TEXTS]
    embedder = Embedder.load(folder, dtype="float32")
    assert found(embedder) == (1, 1)
    oracle = SentenceTransformer(str(folder), device="cpu")
    oracle.max_seq_length = embedder.spec.max_tokens
    np.testing.assert_allclose(embedder.embed(texts), [oracle.encode(text) for text in texts], atol=2e-6)


def test_tables_too_large_are_not_made(base, monkeypatch):
    monkeypatch.setattr(entry, "_MOST_BYTES", 1000)
    embedder = Embedder.load(base("bert"), dtype="float32")
    assert found(embedder) == (0, 0)
    assert SAID not in embedder.describe()["kernels"]


class Changed(nn.Module):
    """Embeddings, or a part of them, that do more than a sum and a norm."""

    def __init__(self, plain, change):
        super().__init__()
        self.plain, self.change = plain, change

    def forward(self, *given, **named):
        return self.change(self.plain(*given, **named))


@pytest.mark.parametrize(
    ("place", "dtype"),
    [
        *((place, "float32") for place in ("word_embeddings", "position_embeddings", "LayerNorm", "dropout", None)),
        *((place, "int8") for place in ("position_embeddings", "LayerNorm", "dropout")),
    ],
)
def test_more_than_a_sum_and_a_norm_is_left_as_it_is(base, plain, monkeypatch, place, dtype):
    """By a little more, too, which the end of a network in integers would not tell."""
    real = first.decide

    def decide(model, *more, **options):
        holder, name = (model.embeddings, place) if place else (model, "embeddings")
        setattr(holder, name, Changed(getattr(holder, name), lambda numbers: numbers * 1.05))
        return real(model, *more, **options)

    monkeypatch.setattr(first, "decide", decide)
    embedder, usual = (load(base("bert"), dtype=dtype) for load in (Embedder.load, plain))
    assert found(embedder) == (0, 0)
    np.testing.assert_array_equal(embedder.embed(TEXTS), usual.embed(TEXTS))


def test_with_several_threads_torch_embeds(base, monkeypatch):
    embedder = Embedder.load(base("bert"), dtype="float32")
    whole = embedder.embed(TEXTS)
    monkeypatch.setattr(kernels(), "embed", pytest.fail)
    with several_threads():
        np.testing.assert_allclose(embedder.embed(TEXTS), whole, atol=1e-6)
