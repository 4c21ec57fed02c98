"""Odd texts: what the oracle makes a vector of, we make the same of; what is no text is refused by its place."""

import pytest
import tiny_models as tiny
from parity_checks import assert_same_vectors, cosines, load_oracle
from sentence_transformers.sentence_transformer.modules import Pooling
from test_parity_tables import saved, static, words

from schemas.errors import UsageError
from worker.engine import Embedder

PROMPT = "query: what is "
BLANKS = [" ", "   ", "\n", "\t\n\r ", "\r\n", "\u00a0", "\u2003\u3000", "\u200b", "\ufeff"]
CONTROLS = ["\0", "nul\0in the mill", "\0\0mill", "mill\0", "\x01\x1f\x7f", "mill\x1fbaker"]
LONG = [("mill " * 2_000), "x" * 10_000, "水" * 10_000, ("The mill grinds, the baker waits. " * 300)[:10_000]]
ODD = ["a", *BLANKS, *CONTROLS, *LONG, PROMPT, PROMPT.strip(), PROMPT * 2]
NETWORKS = [("bert", "wordpiece"), ("roberta", "roberta"), ("qwen3", "decoder"), ("modernbert", "wordpiece")]


@pytest.mark.parametrize("call", [{}, {"prompt": PROMPT}])
@pytest.mark.parametrize("kind", NETWORKS)
def test_odd_texts(base, agree, tmp_path, kind, call):
    assert [len(text) for text in LONG] == [10_000] * 4
    folder = tiny.saved(tmp_path / "m", base(*kind), max_seq_length=100)
    agree(folder, ODD, layout="odd texts: blanks, NUL, 10,000 characters, the prompt itself", **call)


def test_a_text_of_many_thousand_tokens(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("t5"))
    tiny.rewrite(folder / "sentence_bert_config.json", {"max_seq_length": 4_000})
    embedder, _ = agree(folder, LONG[:1], layout="odd texts: blanks, NUL, 10,000 characters, the prompt itself")
    assert embedder.tokens(LONG[:1]).lengths[0] >= 2_000


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("mode", ["mean", "lasttoken"])
def test_a_text_that_is_the_prompt_where_the_prompt_does_not_count(base, agree, tmp_path, kind, mode):
    folder = tiny.saved(tmp_path / "m", base(*kind), pooling=mode, include_prompt=False, max_seq_length=100)
    texts = [PROMPT, PROMPT * 2, PROMPT + "mill"]
    embedder, _ = agree(folder, texts, prompt=PROMPT, layout="Pooling without the prompt's tokens")
    if mode == "mean":
        assert cosines(embedder.embed(texts), embedder.embed(texts, prompt=PROMPT)).min() < 0.99


@pytest.mark.parametrize("modules", [lambda: [static()], lambda: [words(), Pooling(tiny.WIDTH)]])
def test_odd_texts_without_a_network(record, tmp_path, modules):
    folder = saved(tmp_path, *modules())
    ours, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    record(assert_same_vectors(ours.embed(ODD), oracle.encode(ODD)), layout="odd texts, tables of words or tokens")


@pytest.mark.parametrize("modules", [None, lambda: [static()], lambda: [words(), Pooling(tiny.WIDTH)]])
def test_what_is_no_text_is_refused(base, tmp_path, modules):
    folder = tiny.saved(tmp_path, base("bert")) if modules is None else saved(tmp_path, *modules())
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    for value in (None, 5, b"mill", ["mill"], "\ud800"):
        with pytest.raises(UsageError, match=r"^text 1 "):
            embedder.embed(["mill", value])
        with pytest.raises(UsageError, match=r"^text 1 "):
            embedder.tokenize(["mill", value])
    with pytest.raises(UsageError, match="one text where a list"):
        embedder.embed("mill")
    for value in (None, 5):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            oracle.encode(["mill", value])
