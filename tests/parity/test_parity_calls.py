"""Prompts, widths, lengths and batches: every way to call a model gives the oracle's vectors."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny_models as tiny
from parity_checks import assert_same_ids, assert_same_vectors, load_oracle
from sentence_transformers.sentence_transformer.modules import Normalize

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder
from worker.engine.engine import Engine

PROMPTS = {"query": "query: what is ", "passage": "passage: ", "Instruct": "Instruct: find it\n"}


@pytest.fixture
def prompted(base, tmp_path):
    """A model that has prompts and a default one."""
    return tiny.saved(tmp_path / "m", base("bert"), prompts=PROMPTS, default_prompt_name="passage")


@pytest.mark.parametrize(
    "call", [{}, {"prompt": "Instruct: "}, {"prompt": ""}, {"prompt_name": "query"}, {"prompt_name": "Instruct"}]
)
def test_prompts(prompted, agree, call):
    agree(prompted, **call)


def test_tasks_are_the_oracles_encode_query_and_encode_document(prompted):
    embedder, oracle = Embedder.load(prompted, dtype="float32"), load_oracle(prompted)
    assert_same_vectors(embedder.embed(tiny.TEXTS, task="query"), oracle.encode_query(tiny.TEXTS))
    assert_same_vectors(embedder.embed(tiny.TEXTS, task="document"), oracle.encode_document(tiny.TEXTS))
    plain, query = embedder.embed(["mill"], prompt=""), embedder.embed(["mill"], task="query")
    assert float(np.abs(plain - query).max()) > 0.01


def test_an_unknown_prompt_lists_those_there_are(prompted):
    with pytest.raises(ModelError, match="'Instruct', 'document', 'passage', 'query'"):
        Embedder.load(prompted, dtype="float32").embed(["a"], prompt_name="nobody")


@pytest.mark.parametrize("kind", [("bert", "wordpiece"), ("qwen3", "decoder")])
@pytest.mark.parametrize("mode", ["mean", "cls", "weightedmean", "max"])
def test_a_prompt_that_does_not_count(base, agree, tmp_path, kind, mode):
    folder = tiny.saved(tmp_path / "m", base(*kind), pooling=mode, include_prompt=False, max_seq_length=64)
    texts = [text for text in tiny.TEXTS if text.strip()]
    embedder, _ = agree(folder, texts, prompt="query: what is a mill ")
    tiny.rewrite(folder / "1_Pooling" / "config.json", {"include_prompt": True})
    counted = Embedder.load(folder, dtype="float32").embed(texts, prompt="query: what is a mill ")
    assert float(np.abs(embedder.embed(texts, prompt="query: what is a mill ") - counted).max()) > 0.01


def test_a_prompt_longer_than_the_model(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), include_prompt=False, max_seq_length=8)
    agree(folder, tiny.TEXTS, prompt="query: what is a mill that grinds for the baker who waits")


@pytest.mark.parametrize("call", [{"dims": 8}, {"normalize": True}, {"dims": 8, "normalize": True}])
@pytest.mark.parametrize("unit", [False, True])
def test_dims_and_normalize(base, agree, tmp_path, call, unit):
    folder = tiny.saved(tmp_path / "m", base("bert"), *([Normalize()] if unit else []))
    embedder, _ = agree(folder, **call)
    lengths = np.linalg.norm(embedder.embed(tiny.TEXTS, **call), axis=1)
    assert bool(np.allclose(lengths, 1, atol=1e-5)) is bool(call.get("normalize"))
    spec = resolve(folder, ModelOptions(model=str(folder), **call))
    assert any("not of unit length" in warning for warning in spec.warnings) is (unit and call == {"dims": 8})


def test_normalize_false_takes_out_the_models_own(base, tmp_path):
    plain = tiny.saved(tmp_path / "plain", base("bert"))
    unit = tiny.saved(tmp_path / "unit", base("bert"), Normalize())
    wanted = load_oracle(plain).encode(tiny.TEXTS)
    assert_same_vectors(Embedder.load(unit, dtype="float32").embed(tiny.TEXTS, normalize=False), wanted)


def test_a_width_saved_in_the_model(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), truncate_dim=8)
    embedder, _ = agree(folder)
    assert embedder.spec.dims == 8


@pytest.mark.parametrize(("said", "tokenizer", "wanted"), [(16, 512, 16), (None, 32, 32), (None, 512, 128)])
def test_where_a_text_is_cut(base, agree, tmp_path, said, tokenizer, wanted):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    tiny.rewrite(folder / "tokenizer_config.json", {"model_max_length": tokenizer})
    tiny.rewrite(folder / "sentence_bert_config.json", {"max_seq_length": said})
    embedder, oracle = agree(folder)
    assert embedder.spec.max_tokens == oracle.max_seq_length == wanted
    tokens = embedder.tokens(tiny.TEXTS)
    whole = Embedder.load(folder, dtype="float32").parts.tokenizer._tokenizer
    longer = [len(whole(text, truncation=False, verbose=False)["input_ids"]) > wanted for text in tiny.TEXTS]
    assert tokens.truncated.tolist() == longer
    assert any(longer)


def test_a_text_of_exactly_full_length_is_not_truncated(base, tmp_path):
    embedder = Embedder.load(tiny.saved(tmp_path / "m", base("bert"), max_seq_length=16), dtype="float32")
    counts = [embedder.tokens(["a " * n]) for n in range(12, 17)]
    assert [(int(tokens.lengths[0]), bool(tokens.truncated[0])) for tokens in counts] == [
        (14, False),
        (15, False),
        (16, False),
        (16, True),
        (16, True),
    ]


def test_a_length_of_ones_own(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    oracle = load_oracle(folder)
    oracle.max_seq_length = 20
    options = ModelOptions(model=str(folder), max_tokens=20, dtype="float32")
    embedder = Embedder.from_options(options)
    assert_same_ids(embedder, oracle, tiny.TEXTS)
    assert_same_vectors(embedder.embed(tiny.TEXTS), oracle.encode(tiny.TEXTS))


@pytest.mark.parametrize(
    "kind", [("bert", "wordpiece"), ("roberta", "roberta"), ("qwen3", "decoder"), ("t5", "wordpiece")]
)
def test_alone_together_packed_and_padded_are_the_same(base, tmp_path, kind):
    folder = tiny.saved(tmp_path / "m", base(*kind), Normalize(), max_seq_length=128)
    embedder = Embedder.load(folder, dtype="float32")
    together = embedder.embed(tiny.TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in tiny.TEXTS])
    assert np.abs(together - alone).max() <= 1e-6
    mixed = np.random.default_rng(0).permutation(len(tiny.TEXTS))
    assert np.abs(embedder.embed([tiny.TEXTS[row] for row in mixed]) - together[mixed]).max() <= 1e-6
    padded = _padded(embedder)
    assert np.abs(padded.embed(tiny.TEXTS) - together).max() <= 1e-6


def _padded(embedder):
    from dataclasses import replace

    network = replace(embedder.parts.network, way="padded")
    network.model.set_attn_implementation("eager")
    return Embedder(replace(embedder.parts, network=network), embedder.spec)


@pytest.mark.parametrize("kind", [("bert", "wordpiece"), ("qwen3", "decoder"), ("mpnet", "roberta")])
def test_bfloat16_stays_near(base, tmp_path, kind):
    folder = tiny.saved(tmp_path / "m", base(*kind), Normalize(), max_seq_length=128)
    exact = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)
    half = Embedder.load(folder, dtype="bfloat16")
    assert half.describe()["dtype"] == "bfloat16"
    assert half.describe()["forward"] == ("padded" if kind[0] == "mpnet" else "packed"), half.describe()
    assert half.embed(tiny.TEXTS).dtype == np.float32
    assert (half.embed(tiny.TEXTS) * exact).sum(1).min() >= 0.9995


def test_no_texts(base, tmp_path):
    embedder = Embedder.load(tiny.saved(tmp_path / "m", base("bert")), dtype="float32")
    assert embedder.embed([]).shape == (0, tiny.WIDTH)
    assert embedder.tokenize([]) == []


def test_a_spec_loads_again_and_only_with_the_same_files(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), Normalize())
    options = ModelOptions(model=str(folder), prompt="query: ", dims=8, normalize=True, dtype="float32")
    first = Embedder.from_options(options)
    again = Embedder.from_spec(first.spec)
    assert_same_vectors(first.embed(tiny.TEXTS), again.embed(tiny.TEXTS))
    other = shutil.copytree(folder, tmp_path / "other")
    tiny.rewrite(other / "config.json", {"layer_norm_eps": 1e-3})
    with pytest.raises(ModelError, match="planned with"):
        Embedder.from_spec(first.spec.model_copy(update={"model": str(other)}))


def test_many_threads_may_tokenize_at_once(base, tmp_path):
    embedder = Embedder.load(tiny.saved(tmp_path / "m", base("bert"), max_seq_length=32), dtype="float32")
    wanted = embedder.tokenize(tiny.TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(ids == wanted for ids in pool.map(lambda _: embedder.tokenize(tiny.TEXTS), range(64)))


def test_the_engine_gives_what_the_embedder_gives(base, tmp_path):
    embedder = Embedder.load(tiny.saved(tmp_path / "m", base("bert"), Normalize()), dtype="float32")
    engine = Engine()
    futures = [engine.submit(embedder, embedder.tokens(tiny.TEXTS[begin:])) for begin in range(5)]
    for begin, future in enumerate(futures):
        encoded = future.result(60)
        assert np.abs(encoded.vectors - embedder.embed(tiny.TEXTS[begin:])).max() <= 1e-6
        assert encoded.failures == {}
    engine.close()
