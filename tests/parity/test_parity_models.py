"""Every structural kind of model gives the oracle's ids and vectors, and the wrong variant does not."""

import json
import shutil

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, load_oracle
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize

from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder

MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def cosines(left, right):
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", [False, True])
def test_each_mode_is_the_oracles_and_no_other_mode_would_pass(base, agree, tmp_path, mode, unit):
    folder = tiny.saved(tmp_path / "m", base("bert"), *([Normalize()] if unit else []), pooling=mode)
    embedder, _ = agree(folder)
    right = embedder.embed(tiny.TEXTS)
    for other in MODES:
        wrong = Embedder.from_options(ModelOptions(model=str(folder), pooling=other, dtype="float32"))
        # Mean and mean_sqrt_len point the same way; without Normalize their lengths differ.
        same_way = {mode, other} <= {"mean", "mean_sqrt_len_tokens"}
        if other != mode and not same_way:
            assert cosines(right, wrong.embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("modes", [["cls", "max"], ["lasttoken", "cls"], ["mean", "max", "weightedmean"]])
def test_a_list_of_modes_is_concatenated_in_its_order(base, agree, tmp_path, modes):
    embedder, _ = agree(tiny.saved(tmp_path / "m", base("bert"), pooling=modes))
    assert embedder.spec.dims == tiny.WIDTH * len(modes)


@pytest.mark.parametrize(
    "flags",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_lasttoken": True},
        {"pooling_mode_mean_tokens": False},
        {"pooling_mode_weightedmean_tokens": True},
    ],
)
def test_the_old_flags_mean_what_they_meant(base, agree, tmp_path, flags):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": tiny.WIDTH, **flags}))
    agree(folder)


KINDS = [
    ("roberta", "roberta", True),
    ("xlm-roberta", "roberta", True),
    ("distilbert", "wordpiece", True),
    ("electra", "wordpiece", True),
    ("albert", "wordpiece", True),
    ("modernbert", "wordpiece", True),
    ("mpnet", "roberta", False),
    ("t5", "wordpiece", False),
    ("deberta-v2", "wordpiece", False),
]


@pytest.mark.parametrize(("kind", "style", "packed"), KINDS)
def test_encoders(base, agree, tmp_path, kind, style, packed):
    changes = {"embedding_size": tiny.WIDTH} if kind in ("albert", "electra") else {}
    if kind in ("xlm-roberta",):
        changes["max_position_embeddings"] = 130
    folder = tiny.saved(tmp_path / "m", base(kind, style, **changes), Normalize(), max_seq_length=128)
    embedder, _ = agree(folder)
    assert embedder.describe()["forward"] == ("packed" if packed else "padded"), embedder.describe()


@pytest.mark.parametrize("kind", ["qwen3", "llama", "mistral", "gemma3_text", "gpt2"])
@pytest.mark.parametrize("mode", ["lasttoken", "mean"])
def test_decoders_padded_on_the_left(base, agree, tmp_path, kind, mode):
    folder = tiny.saved(tmp_path / "m", base(kind, "decoder"), Normalize(), pooling=mode, max_seq_length=100)
    # A learned position table makes the oracle itself depend on its padding: there it is asked one by one.
    if kind == "gpt2":
        embedder = Embedder.load(folder, dtype="float32")
        oracle = load_oracle(folder)
        assert_same_ids(embedder, oracle, tiny.TEXTS)
        assert_same_vectors(embedder.embed(tiny.TEXTS), oracle.encode(tiny.TEXTS, batch_size=1))
    else:
        embedder, _ = agree(folder)
    assert embedder.describe()["forward"] == "packed", embedder.describe()


def test_a_bge_like_model_with_chinese_text(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), Normalize(), pooling="cls")
    texts = [text for text in tiny.TEXTS if any(ord(letter) > 0x3000 for letter in text)]
    assert len(texts) >= 2
    agree(folder, texts, prompt="为这个句子生成表示以用于检索相关文章：")


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_dense_and_layer_norm(base, agree, tmp_path, activation):
    function = torch.nn.Tanh() if activation == "tanh" else torch.nn.Identity()
    torch.manual_seed(1)
    heads = [
        Dense(tiny.WIDTH, 24, bias=activation == "tanh", activation_function=function),
        LayerNorm(24),
        Dense(24, 12, activation_function=torch.nn.Identity()),
        Normalize(),
    ]
    embedder, _ = agree(tiny.saved(tmp_path / "m", base("bert"), *heads))
    assert embedder.spec.dims == 12


def test_dense_from_a_pickled_state_and_without_an_activation(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, 8))
    place = folder / "2_Dense"
    torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    tiny.rewrite(place / "config.json", drop=("activation_function",))
    agree(folder)


def test_a_plain_checkpoint_is_mean_pooled_with_a_warning(base, agree, tmp_path):
    embedder, _ = agree(shutil.copytree(base("bert"), tmp_path / "raw"))
    assert embedder.spec.modules[1].config["modes"] == ["mean"]
    assert any("not trained for sentences" in warning for warning in embedder.spec.warnings)


def test_a_plain_decoder_takes_the_last_token(base, agree, tmp_path):
    folder = shutil.copytree(base("qwen3", "decoder"), tmp_path / "raw")
    tiny.rewrite(folder / "config.json", {"architectures": ["Qwen3ForCausalLM"]})
    embedder, _ = agree(folder)
    assert embedder.spec.modules[1].config["modes"] == ["lasttoken"]


@pytest.mark.parametrize("lower", [True, False])
def test_do_lower_case_of_old_files(agree, tmp_path, lower):
    cased = tiny.checkpoint(tmp_path / "base", "bert", tiny.wordpiece(lower=False))
    folder = tiny.saved(tmp_path / "m", cased)
    tiny.rewrite(folder / "sentence_bert_config.json", {"do_lower_case": lower}, drop=_NEW_KEYS)
    embedder, _ = agree(folder)
    same = embedder.tokenize(["The MILL"]) == embedder.tokenize(["the mill"])
    assert same is lower


_NEW_KEYS = ("transformer_task", "modality_config", "module_output_name", "processing_kwargs", "unpad_inputs")


def test_a_residual_dense(base, agree, tmp_path):
    agree(tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, tiny.WIDTH, use_residual=True)))
    agree(tiny.saved(tmp_path / "n", base("bert"), Dense(tiny.WIDTH, 16, use_residual=True)))


def test_the_fingerprint_names_the_bytes_and_not_the_place(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    copy = shutil.copytree(folder, tmp_path / "copy")
    specs = [resolve(place, ModelOptions(model=str(place))) for place in (folder, copy)]
    assert specs[0].fingerprint == specs[1].fingerprint
    tiny.rewrite(copy / "1_Pooling" / "config.json", {"pooling_mode": "cls"})
    assert resolve(copy, ModelOptions(model=str(copy))).fingerprint != specs[0].fingerprint
