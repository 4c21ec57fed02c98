"""First modules without a network: static embeddings in every layout, and the old word models."""

import json

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_vectors, cosines, load_oracle
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    LSTM,
    BoW,
    Dense,
    Normalize,
    Pooling,
    StaticEmbedding,
    WordEmbeddings,
    WordWeights,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import PhraseTokenizer, WhitespaceTokenizer

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder
from worker.engine.engine import Engine

WORDS = sorted({word.strip(".,") for line in tiny.LINES for word in line.split()})


def saved(folder, *modules):
    SentenceTransformer(modules=list(modules), device="cpu").save(str(folder))
    return folder


def static():
    torch.manual_seed(3)
    tokenizer = tiny.wordpiece()
    return StaticEmbedding(tokenizer, embedding_weights=torch.randn(len(tokenizer), tiny.WIDTH))


def words(*, stop_words=("the",)):
    torch.manual_seed(3)
    tokenizer = WhitespaceTokenizer(["PADDING_TOKEN", *WORDS], stop_words=stop_words)
    return WordEmbeddings(tokenizer, torch.randn(len(WORDS) + 1, tiny.WIDTH))


def compare(folder, record, layout, *, texts=tiny.TEXTS, batch_size=32, **call):
    embedder = Embedder.load(folder, dtype="float32")
    ours = embedder.embed(texts, **call)
    wanted = load_oracle(folder).encode(texts, batch_size=batch_size, **call)
    record(assert_same_vectors(ours, wanted), layout=layout)
    return embedder, ours


@pytest.mark.parametrize("heads", [[], [Normalize()], [Dense(tiny.WIDTH, 8), Normalize()]])
def test_static_embedding(tmp_path, record, heads):
    layout = " + ".join(["StaticEmbedding", *(type(head).__name__ for head in heads)])
    compare(saved(tmp_path, static(), *heads), record, layout, prompt="query: ")
    embedder, _ = compare(tmp_path, record, layout)
    assert embedder.describe()["way"] == "table"
    with_specials = [tiny.wordpiece()(text)["input_ids"] for text in tiny.TEXTS]
    assert embedder.tokenize(tiny.TEXTS) != with_specials


def test_a_text_without_a_token_gives_zeros_in_the_engine_too(tmp_path):
    embedder = Embedder.load(saved(tmp_path, static()), dtype="float32")
    engine = Engine()
    encoded = engine.submit(embedder, embedder.tokens(["", "mill", " ", "the mill"])).result(60)
    engine.close()
    assert encoded.failures == {}
    assert encoded.vectors[[0, 2]].any() == np.False_
    assert np.abs(encoded.vectors - embedder.embed(["", "mill", " ", "the mill"])).max() == 0
    assert embedder.embed(["", " "]).any() == np.False_


@pytest.mark.parametrize("extra", [(), ("mapping",), ("weights",), ("mapping", "weights")])
@pytest.mark.parametrize("path", [".", "", "0_StaticEmbedding"])
def test_static_embedding_as_model2vec_saves_it(tmp_path, record, extra, path):
    folder = saved(tmp_path, static(), Normalize())
    rows = load_file(folder / "model.safetensors")["embedding.weight"]
    generator = torch.Generator().manual_seed(5)
    weights = {"embeddings": rows[:50].clone() if "mapping" in extra else rows}
    if "mapping" in extra:
        weights["mapping"] = torch.randint(0, 50, (len(rows),), generator=generator, dtype=torch.int32)
    if "weights" in extra:
        weights["weights"] = torch.rand(len(rows), generator=generator) * 3
    save_file(weights, folder / "model.safetensors")
    if path.startswith("0"):
        (folder / path).mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (folder / name).rename(folder / path / name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    _, ours = compare(folder, record, " + ".join(["StaticEmbedding of model2vec", *extra]))
    # Each of them counts: no weights, or tokens mapped to the first rows in turn.
    wrong = {"mapping": {"mapping": torch.arange(len(rows), dtype=torch.int32) % 50}, "weights": {}}
    for left_out in extra:
        others = {key: value for key, value in weights.items() if key != left_out} | wrong[left_out]
        save_file(others, folder / path / "model.safetensors")
        assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("direction", ["Left", "Right"])
def test_the_truncation_of_a_static_embeddings_tokenizer(tmp_path, record, direction):
    folder = saved(tmp_path, static())
    plain = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS[:1])
    cut = {"direction": direction, "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    tiny.rewrite(folder / "tokenizer.json", {"truncation": cut})
    embedder, ours = compare(folder, record, "StaticEmbedding, truncation in tokenizer.json")
    assert embedder.spec.max_tokens == 5
    assert embedder.tokens(["a mill " * 9]).truncated.tolist() == [True]
    assert cosines(plain, ours[:1]).min() < 0.99


def test_static_weights_of_another_kind(tmp_path):
    folder = saved(tmp_path, static())
    torch.save({"embedding.weight": torch.ones(400, 4)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="is not said"):
        resolve(folder, ModelOptions(model=str(folder)))


@pytest.mark.parametrize("mode", ["mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_word_embeddings(tmp_path, record, mode):
    folder = saved(tmp_path, words(), Pooling(tiny.WIDTH, pooling_mode=mode))
    known = [text for text in tiny.TEXTS if mode != "max" or "mill" in text]
    compare(folder, record, "WordEmbeddings + Pooling", texts=known, prompt="what is ")
    _, ours = compare(folder, record, "WordEmbeddings + Pooling", texts=known)
    # Other stop words, another vector.
    tiny.rewrite(folder / "whitespacetokenizer_config.json", {"stop_words": ["mill", "baker", "waits"]})
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(known)).min() < 0.99


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean"])
def test_word_weights(tmp_path, record, mode):
    weights = {word: 0.1 + place % 7 for place, word in enumerate(WORDS) if place % 3}
    heads = [WordWeights(["PADDING_TOKEN", *WORDS], weights, unknown_word_weight=0.5), Pooling(tiny.WIDTH, mode)]
    folder = saved(tmp_path, words(), *heads)
    _, ours = compare(folder, record, "WordEmbeddings + WordWeights + Pooling")
    tiny.rewrite(folder / "1_WordWeights" / "config.json", {"word_weights": {}})
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("bidirectional", [True, False])
def test_lstm(tmp_path, record, bidirectional):
    torch.manual_seed(4)
    lstm = LSTM(tiny.WIDTH, 12, num_layers=2, bidirectional=bidirectional)
    folder = saved(tmp_path, words(), lstm, Pooling(lstm.get_embedding_dimension()))
    _, ours = compare(folder, record, "WordEmbeddings + LSTM + Pooling")
    backwards = [" ".join(reversed(text.split())) for text in tiny.TEXTS[:1]]
    assert cosines(ours[:1], Embedder.load(folder, dtype="float32").embed(backwards)).min() < 0.99


@pytest.mark.parametrize("strides", [None, [2, 2]])
def test_cnn_as_the_oracle_one_by_one(tmp_path, record, strides):
    torch.manual_seed(4)
    half = tiny.WIDTH // 2
    cnn = CNN(tiny.WIDTH, half, kernel_sizes=[1, 3] if strides is None else [3, 3], stride_sizes=strides)
    folder = saved(tmp_path, words(), cnn, Pooling(tiny.WIDTH))
    embedder, ours = compare(folder, record, "WordEmbeddings + CNN + Pooling", batch_size=1)
    assert np.abs(np.concatenate([embedder.embed([text]) for text in tiny.TEXTS]) - ours).max() <= 1e-6
    # Other strides are another function, and so is no CNN at all.
    tiny.rewrite(folder / "1_CNN" / "config.json", {"stride_sizes": [3, 3] if strides else [2, 2]})
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99
    listed = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([listed[0], listed[2]]))
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("cumulative", [True, False])
def test_bag_of_words(tmp_path, record, cumulative):
    weights = {"mill": 2.0, "baker": 0.5, "the": 3.0}
    bag = BoW([*WORDS, "mill"], weights, unknown_word_weight=0.25, cumulative_term_frequency=cumulative)
    folder = saved(tmp_path, bag, Normalize())
    _, ours = compare(folder, record, "BoW + Normalize")
    tiny.rewrite(folder / "0_BoW" / "config.json", {"cumulative_term_frequency": not cumulative})
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


def phrase_words(**changes):
    torch.manual_seed(3)
    phrases = ["the_mill", "what_is_a", "The_river", "odd__mark", "a_b_c_d_e_f", "passes_by"]
    vocabulary = ["PADDING_TOKEN", *WORDS, *phrases]
    tokenizer = PhraseTokenizer(vocabulary, **{"stop_words": ["runs", "and"], **changes})
    return WordEmbeddings(tokenizer, torch.randn(len(vocabulary), tiny.WIDTH), max_seq_length=30)


PHRASES = [
    *tiny.TEXTS,
    "The Mill, and WHAT is a river? The river runs; it's odd  mark!",
    "what is a mill passes by a b c d e f don't (the mill)",
    "The_mill 'waits' ... a",
]


@pytest.mark.parametrize("changes", [{}, {"max_ngram_length": 2}, {"ngram_separator": "__"}, {"do_lower_case": True}])
def test_phrases(tmp_path, record, changes):
    folder = saved(tmp_path, phrase_words(**changes), Pooling(tiny.WIDTH))
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    assert embedder.tokenize(PHRASES) == [oracle[0].tokenizer.tokenize(text)[:30] for text in PHRASES]
    compare(folder, record, "WordEmbeddings with PhraseTokenizer", texts=PHRASES, prompt="what is a ")
    embedder, ours = compare(folder, record, "WordEmbeddings with PhraseTokenizer", texts=PHRASES)
    assert embedder.tokens(PHRASES).truncated.tolist() == [len(oracle[0].tokenizer.tokenize(t)) > 30 for t in PHRASES]
    # Without its phrases the model is another.
    tiny.rewrite(folder / "phrasetokenizer_config.json", {"max_ngram_length": 1})
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(PHRASES)).min() < 0.99


def test_phrases_without_nltk_name_it(tmp_path, monkeypatch):
    folder = saved(tmp_path, phrase_words(), Pooling(tiny.WIDTH))
    monkeypatch.setattr("worker.engine.phrase_tokenizer.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs nltk") as caught:
        Embedder.load(folder, dtype="float32")
    assert "vecmill[phrases]" in str(caught.value)


@pytest.mark.parametrize("most", [1_000_000, 7])
def test_a_tokenizer_of_transformers_before_word_embeddings(tmp_path, record, most):
    torch.manual_seed(3)
    tokenizer = tiny.wordpiece()
    table = WordEmbeddings(tokenizer, torch.randn(len(tokenizer), tiny.WIDTH), max_seq_length=most)
    folder = saved(tmp_path, table, Pooling(tiny.WIDTH))
    layout = "WordEmbeddings with TransformersTokenizerWrapper"
    compare(folder, record, layout, prompt="query: ")
    embedder, ours = compare(folder, record, layout)
    wanted = [tokenizer(text)["input_ids"] for text in tiny.TEXTS]
    assert embedder.tokenize(tiny.TEXTS) == [ids[:most] for ids in wanted]
    # Without the special tokens the vectors are others.
    table.tokenizer.tokenize = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"][: most - 1]
    bare = SentenceTransformer(modules=[table, Pooling(tiny.WIDTH)], device="cpu").encode(tiny.TEXTS)
    assert cosines(ours, bare).min() < 0.99


@pytest.mark.parametrize("dotted", ["sentence_transformers.models.tokenizer.Brandnew", "mine.WhitespaceTokenizer"])
def test_another_word_tokenizer_is_refused(tmp_path, dotted):
    folder = saved(tmp_path, words(), Pooling(tiny.WIDTH))
    tiny.rewrite(folder / "wordembedding_config.json", {"tokenizer_class": dotted})
    with pytest.raises(ModelError, match=f"splits words with {dotted}"):
        resolve(folder, ModelOptions(model=str(folder)))


@pytest.mark.parametrize("table", [words, phrase_words])
def test_a_missing_word_tokenizer(tmp_path, table):
    folder = saved(tmp_path, table(), Pooling(tiny.WIDTH))
    next(folder.glob("*tokenizer_config.json")).unlink()
    with pytest.raises(ModelError, match="has no"):
        resolve(folder, ModelOptions(model=str(folder)))
