"""LoRA adapters: merged at load, they give the vectors that sentence-transformers gives with them beside the base."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_vectors, cosines, load_oracle
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from transformers import AutoModel

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder

TARGETS = {"bert": ["query", "value", "dense"], "qwen3": ["q_proj", "v_proj", "down_proj"], "t5": ["q", "v", "wo"]}
STYLES = {"qwen3": "decoder"}


def widen(network):
    """A LoRA begins as nothing: its B is zeros until it is trained."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name or "modules_to_save" in name or "magnitude" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)


def adapted(folder, base, *, kind="bert", heads=(), **changes):
    """What `model.save` leaves of a model that an adapter was put on, and the model without it."""
    plain = tiny.saved(folder / "plain", base(kind, STYLES.get(kind, "wordpiece")), *heads, max_seq_length=100)
    model = SentenceTransformer(str(plain), device="cpu")
    model.add_adapter(LoraConfig(r=4, lora_alpha=16, **{"target_modules": TARGETS[kind], **changes}))
    widen(model)
    model.save(str(folder / "adapter"))
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
    return folder / "adapter", plain


def agree_with_power(folder, plain, record, layout):
    embedder = Embedder.load(folder, dtype="float32")
    ours, wanted = embedder.embed(tiny.TEXTS), load_oracle(folder).encode(tiny.TEXTS)
    # What goes through is another product of matrices, so the last bits differ a little more.
    record(assert_same_vectors(ours, wanted, 2e-6), layout=layout, note=embedder.describe()["forward"] + " batches")
    without = Embedder.load(plain, dtype="float32").embed(tiny.TEXTS)
    assert cosines(without, wanted).min() < 0.99
    assert np.abs(without - wanted).max() > 0.05
    return embedder


@pytest.mark.parametrize("kind", ["bert", "qwen3", "t5"])
def test_an_adapter_saved_by_sentence_transformers(base, record, tmp_path, kind):
    folder, plain = adapted(tmp_path, base, kind=kind, heads=[Normalize()])
    assert not (folder / "config.json").exists()
    embedder = agree_with_power(folder, plain, record, "LoRA adapter, merged")
    assert embedder.describe()["forward"] == Embedder.load(plain, dtype="float32").describe()["forward"]
    network = embedder.parts.network.model
    assert {type(layer) for layer in network.modules()} == {
        type(layer) for layer in Embedder.load(plain, dtype="float32").parts.network.model.modules()
    }


@pytest.mark.parametrize(
    "change",
    [
        {"use_rslora": True},
        {"rank_pattern": {"query": 8}, "alpha_pattern": {"value": 2}},
        {"layers_to_transform": [1]},
        {"target_modules": "all-linear", "exclude_modules": ["query"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_kinds_of_lora(base, record, tmp_path, change):
    folder, plain = adapted(tmp_path, base, **change)
    agree_with_power(folder, plain, record, "LoRA adapter, merged")


@pytest.mark.parametrize("causal", [False, True])
def test_a_plain_adapter_folder(base, record, tmp_path, causal):
    kind = "qwen3" if causal else "bert"
    raw = shutil.copytree(base(kind, STYLES.get(kind, "wordpiece")), tmp_path / "raw")
    if causal:
        tiny.rewrite(raw / "config.json", {"architectures": ["Qwen3ForCausalLM"]})
    network = get_peft_model(AutoModel.from_pretrained(raw), LoraConfig(r=4, target_modules=TARGETS[kind]))
    widen(network)
    network.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match="no tokenizer"):
        resolve(tmp_path / "adapter", ModelOptions(model=str(tmp_path / "adapter")))
    for file in raw.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "adapter")
    embedder = agree_with_power(tmp_path / "adapter", raw, record, "LoRA adapter, no modules.json")
    assert embedder.spec.modules[1].config["modes"] == ["lasttoken" if causal else "mean"]


def test_an_adapter_in_the_folder_of_its_module(base, record, tmp_path):
    # The oracle looks for a folder of that name in the base too, so it reads the same adapter from the root.
    folder, plain = adapted(tmp_path, base)
    inner = shutil.copytree(folder, tmp_path / "m") / "0_Transformer"
    inner.mkdir()
    for name in [*folder.glob("tokenizer*"), *folder.glob("adapter_*"), folder / "sentence_bert_config.json"]:
        shutil.move(tmp_path / "m" / name.name, inner)
    listed = json.loads((folder / "modules.json").read_text())
    listed[0]["path"] = "0_Transformer"
    (tmp_path / "m" / "modules.json").write_text(json.dumps(listed))
    ours = Embedder.load(tmp_path / "m", dtype="float32").embed(tiny.TEXTS)
    record(assert_same_vectors(ours, load_oracle(folder).encode(tiny.TEXTS), 2e-6), layout="LoRA adapter, merged")
    assert cosines(ours, Embedder.load(plain, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


def test_in_half_precision_the_merge_is_as_near_as_the_format(base, tmp_path):
    folder, _ = adapted(tmp_path, base, heads=[Normalize()])
    whole, half = (Embedder.load(folder, dtype=dtype).embed(tiny.TEXTS) for dtype in ("float32", "bfloat16"))
    assert cosines(whole, half).min() > 0.999


def test_the_content_covers_the_adapter_and_its_base(base, tmp_path):
    folder, plain = adapted(tmp_path, base)
    asked = ModelOptions(model=str(folder))
    first = resolve(folder, asked)
    assert (first.base, first.base_revision) == (str(plain), None)
    prints = {first.fingerprint}
    for place in (folder / "adapter_model.safetensors", plain / "model.safetensors"):
        kept = place.read_bytes()
        save_file({key: value * 1.5 for key, value in load_file(place).items()}, place, metadata={"format": "pt"})
        prints.add(resolve(folder, asked).fingerprint)
        with pytest.raises(ModelError, match="the run was planned with"):
            Embedder.from_spec(first)
        place.write_bytes(kept)
    assert len(prints) == 3
    assert Embedder.from_spec(first).spec == first


def test_the_fingerprint_does_not_say_where_the_base_lies(base, tmp_path):
    folder, plain = adapted(tmp_path, base)
    first = resolve(folder, ModelOptions(model=str(folder)))
    moved = shutil.copytree(plain, tmp_path / "elsewhere")
    spec = first.model_copy(update={"base": str(moved)})
    assert spec.fingerprint == first.fingerprint
    assert_same_vectors(Embedder.from_spec(spec).embed(tiny.TEXTS), Embedder.from_spec(first).embed(tiny.TEXTS))


def test_a_spec_without_its_base_does_not_lead_to_one(base, tmp_path):
    folder, plain = adapted(tmp_path, base)
    spec = resolve(folder, ModelOptions(model=str(folder)))
    own = spec.content.partition("+")[0]
    with pytest.raises(ModelError, match="of which the run says nothing"):
        Embedder.from_spec(spec.model_copy(update={"base": None, "content": own}))
    # A base that became an adapter itself points on, to a folder that nobody named.
    (plain / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/somewhere"}))
    with pytest.raises(ModelError, match="an adapter too"):
        resolve(folder, ModelOptions(model=str(folder)))


def test_without_peft_it_is_named(base, tmp_path, monkeypatch):
    folder, _ = adapted(tmp_path, base)
    found = importlib.util.find_spec
    monkeypatch.setattr("worker.engine.adapter.find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(ModelError, match="needs peft") as caught:
        Embedder.load(folder, dtype="float32")
    assert "vecmill[peft]" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "the kind PROMPT_TUNING"),
        ({"use_dora": True}, "use_dora = True"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"base_model_name_or_path": None}, "names no base model"),
        ({"base_model_name_or_path": "/nowhere/at/all"}, "'/nowhere/at/all', which is not to be had"),
        ({"brand_new": 1}, "brand_new = 1"),
    ],
)
def test_adapters_that_are_refused(base, tmp_path, change, message):
    folder, _ = adapted(tmp_path, base)
    tiny.rewrite(folder / "adapter_config.json", change)
    with pytest.raises(ModelError, match=message):
        resolve(folder, ModelOptions(model=str(folder)))


def test_an_adapter_beside_a_whole_network(base, tmp_path):
    folder, plain = adapted(tmp_path, base)
    shutil.copy(plain / "config.json", folder)
    with pytest.raises(ModelError, match="a network of its own"):
        resolve(folder, ModelOptions(model=str(folder)))


def test_an_adapter_of_another_network(base, tmp_path):
    folder, _ = adapted(tmp_path, base)
    other = tiny.checkpoint(tmp_path / "other", "bert", tiny.wordpiece(), hidden_size=64)
    tiny.rewrite(folder / "adapter_config.json", {"base_model_name_or_path": str(other)})
    with pytest.raises(ModelError):
        Embedder.load(folder, dtype="float32")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="an adapter without weights"):
        resolve(folder, ModelOptions(model=str(folder)))


def test_layers_saved_whole(base, record, tmp_path):
    folder, plain = adapted(tmp_path, base, modules_to_save=["word_embeddings"], target_modules=["query"])
    agree_with_power(folder, plain, record, "LoRA adapter, merged")
