"""The same model under every name its files ever had, and what a person is told of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, cosines, load_oracle
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.model_variant import vary
from schemas.spec import ModelOptions
from worker.engine import Embedder


@pytest.fixture
def folder(base, tmp_path):
    return tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, 8), Normalize())


def listed(folder, change):
    path = folder / "modules.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def renamed(names):
    return lambda modules: [{**module, "type": name} for module, name in zip(modules, names, strict=True)]


OLD = "sentence_transformers.models"
NEW = "sentence_transformers.sentence_transformer.modules"


@pytest.mark.parametrize(
    "names",
    [
        [f"{OLD}.{name}" for name in ("Transformer", "Pooling", "Dense", "Normalize")],
        [f"{OLD}.{name}.{name}" for name in ("Transformer", "Pooling", "Dense", "Normalize")],
        [
            "sentence_transformers.base.modules.transformer.Transformer",
            f"{NEW}.pooling.Pooling",
            "sentence_transformers.base.modules.dense.Dense",
            f"{NEW}.normalize.Normalize",
        ],
    ],
)
def test_every_name_of_a_type(folder, agree, names):
    listed(folder, renamed(names))
    agree(folder, layout="old and new type names")


@pytest.mark.parametrize("name", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_every_name_of_the_transformers_file(folder, agree, name):
    (folder / "sentence_bert_config.json").unlink()
    (folder / f"sentence_{name}_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    embedder, _ = agree(folder, layout="sentence_*_config.json of any name")
    assert embedder.spec.max_tokens == 12


def test_a_transformer_in_a_folder_of_its_own(folder, agree):
    place = folder / "0_Transformer"
    place.mkdir()
    for path in [*folder.glob("token*"), folder / "config.json", folder / "sentence_bert_config.json"]:
        path.rename(place / path.name)
    torch.save(load_file(folder / "model.safetensors"), place / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    listed(folder, lambda modules: [{**modules[0], "path": "0_Transformer"}, *modules[1:]])
    agree(folder, layout="0_Transformer with pytorch_model.bin")


def test_numbers_and_empty_folders_count_for_nothing(folder, agree):
    listed(folder, lambda modules: [{**module, "idx": 9 - place} for place, module in enumerate(modules)])
    for path in (folder / "3_Normalize").iterdir():
        path.unlink()
    (folder / "3_Normalize").rmdir()
    embedder, _ = agree(folder, layout="idx out of order, no folder of Normalize")
    assert np.abs(np.linalg.norm(embedder.embed(tiny.TEXTS), axis=1) - 1).max() < 1e-5


def test_a_name_that_comes_twice(folder, agree):
    listed(folder, lambda modules: [*modules, {**modules[2], "name": modules[3]["name"]}][:3])
    agree(folder, layout="a name twice in modules.json")


def test_tokenizer_args_in_the_file(base, agree, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"tokenizer_args": {"model_max_length": 9}}))
    embedder, _ = agree(folder, layout="tokenizer_args in the file")
    assert embedder.tokens(["mill " * 50]).lengths.tolist() == [9]


def test_a_slow_tokenizer(record, tmp_path):
    from transformers import ByT5Tokenizer

    raw = tiny.checkpoint(tmp_path / "raw", "t5", tiny.wordpiece())
    for path in raw.glob("token*"):
        path.unlink()
    ByT5Tokenizer(model_max_length=48).save_pretrained(raw)
    folder = tiny.saved(tmp_path / "m", raw)
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    assert_same_ids(embedder, oracle, tiny.TEXTS)
    record(assert_same_vectors(embedder.embed(tiny.TEXTS), oracle.encode(tiny.TEXTS)), layout="slow tokenizer (ByT5)")


def xlnet_tokenizer():
    tokenizer = tiny.wordpiece()
    backend = tokenizer.backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="$A:0 [SEP]:0 [CLS]:2", special_tokens=[("[SEP]", 3), ("[CLS]", 2)]
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", padding_side="left")
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, model_max_length=100, **names)


@pytest.mark.parametrize("mode", ["mean", "lasttoken"])
def test_special_tokens_of_another_type(agree, tmp_path, mode):
    raw = tiny.checkpoint(tmp_path / "raw", "xlnet", xlnet_tokenizer())
    weights = load_file(raw / "model.safetensors")
    wide = {key: value * (20 if "seg" in key or "r_s" in key else 1) for key, value in weights.items()}
    save_file(wide, raw / "model.safetensors", metadata={"format": "pt"})
    embedder, _ = agree(tiny.saved(tmp_path / "m", raw, pooling=mode), layout="token types (XLNet)")
    assert embedder.describe()["forward"] == "padded"
    ours = embedder.embed(tiny.TEXTS)
    network = replace(embedder.parts.network, types=None)
    untyped = Embedder(replace(embedder.parts, network=network), embedder.spec).embed(tiny.TEXTS)
    assert cosines(ours, untyped).min() < 0.99


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
def test_any_number_of_rows(folder, agree, rows):
    texts = (tiny.TEXTS * 6)[:rows]
    assert len(texts) == rows
    agree(folder, texts, layout="1, 31, 32, 33, 100 rows")


def warnings(folder, **options):
    return resolve(folder, ModelOptions(model=str(folder), **options)).warnings


def test_prompts_of_which_none_was_chosen(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("bert"), prompts={"query": "query: ", "passage": "p: "})
    found = warnings(folder)
    assert len(found) == 1
    assert "'passage', 'query'" in found[0]
    for options in ({"prompt": ""}, {"prompt_name": "query"}, {"task": "document"}):
        assert warnings(folder, **options) == ()
    spec = resolve(folder, ModelOptions(model=str(folder)))
    assert vary(spec, folder, ModelOptions(model=str(folder), task="query")).warnings == ()
    tiny.rewrite(folder / "config_sentence_transformers.json", {"default_prompt_name": "passage"})
    assert warnings(folder) == ()


def test_a_last_token_that_is_no_end_token(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("qwen3", "decoder"), pooling="lasttoken")
    assert warnings(folder) == ()
    tiny.rewrite(folder / "tokenizer.json", {"post_processor": None})
    assert any("appends no end token" in warning for warning in warnings(folder))
    assert not any("appends no end token" in warning for warning in warnings(folder, pooling="mean"))


@pytest.mark.parametrize("kind", ["t5", "mt5", "umt5", "switch_transformers", "t5gemma", "gemma2", "gemma3_text"])
def test_float16_of_families_that_overflow(folder, kind):
    tiny.rewrite(folder / "config.json", {"model_type": kind})
    with pytest.raises(ModelError, match="overflows in float16"):
        resolve(folder, ModelOptions(model=str(folder), dtype="float16"))


def test_pooling_cannot_be_chosen_where_no_tokens_are_pooled(tmp_path):
    from test_parity_tables import saved, static

    folder = saved(tmp_path, static())
    with pytest.raises(ModelError, match="pools no tokens"):
        resolve(folder, ModelOptions(model=str(folder), pooling="mean"))
