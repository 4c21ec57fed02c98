"""A folder that would give wrong vectors, or none, is refused with what is wrong and what to do."""

import json

import pytest
import tiny_models as tiny
from sentence_transformers.sentence_transformer.modules import Dense

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder


@pytest.fixture
def folder(base, tmp_path):
    return tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, 8))


def refuse(folder, message, **options):
    with pytest.raises(ModelError, match=message) as caught:
        resolve(folder, ModelOptions(model=str(folder), **options))
    assert caught.value.exit_code == 2


def add_module(folder, dotted):
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    path.write_text(json.dumps([*modules, {"idx": 9, "name": "9", "path": "9_X", "type": dotted}]))


@pytest.mark.parametrize(
    ("dotted", "message"),
    [
        ("sentence_transformers.models.SpladePooling", "SpladePooling .* is not supported"),
        ("sentence_transformers.models.WordWeights", "the modules are Transformer, Pooling, Dense, WordWeights"),
        ("sentence_transformers.models.Brandnew", "Brandnew .* is not supported"),
        ("custom_st.Transformer", "custom_st.Transformer is code of the model's own"),
        ("sentence_transformers.models.Pooling", "the modules are Transformer, Pooling, Dense, Pooling"),
    ],
)
def test_modules(folder, dotted, message):
    add_module(folder, dotted)
    refuse(folder, message)
    refuse(folder, message, trust_remote_code=True)


def test_a_folder_outside_the_model(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(modules))
    refuse(folder, "lies outside the model")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"auto_map": {"AutoModel": "code.Model"}}, "code of its own"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "is a SparseEncoder"),
        ("config_sentence_transformers.json", {"default_prompt_name": "nobody"}, "default prompt is 'nobody'"),
        ("sentence_bert_config.json", {"max_seq_length": 1000}, "say 1000 tokens, but .* end at 128"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task = 'fill-mask'"),
        ("sentence_bert_config.json", {"brand_new": 1}, "brand_new = 1"),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "pooling .*median.* is unknown"),
        ("1_Pooling/config.json", {"output_key": "x"}, "unknown keys: output_key"),
        ("2_Dense/config.json", {"in_features": 5}, "takes 5 values, but gets 32"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "module_input_name"),
        ("adapter_config.json", {"peft_type": "LORA"}, "an adapter and a network of its own"),
    ],
)
def test_files(folder, file, change, message):
    tiny.rewrite(folder / file, change)
    refuse(folder, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 129}, "129 is more than the model's 128"),
        ({"dims": 9}, "9 is more than the model's 8"),
        ({"prompt_name": "nobody"}, "no prompt 'nobody'"),
    ],
)
def test_options(folder, options, message):
    refuse(folder, message, **options)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "config.json.* is missing"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_missing_files(folder, missing, message):
    for path in (folder / missing, folder / "vocab.txt") if missing == "tokenizer.json" else (folder / missing,):
        path.unlink(missing_ok=True)
    refuse(folder, message)


def test_no_model_at_all(tmp_path):
    refuse(tmp_path, "neither modules.json nor config.json is there")
    refuse(tmp_path / "nowhere", "is no folder")
    (tmp_path / "modules.json").write_text("{")
    refuse(tmp_path, "cannot be read as JSON")


def test_an_unknown_model_offline():
    with pytest.raises(ModelError, match="neither a folder here, nor in the local cache"):
        Embedder.load("nobody/has-this-model")
    with pytest.raises(ModelError, match="is no folder"):
        Embedder.load("./nowhere")


@pytest.mark.parametrize(("kind", "style"), [("t5", "wordpiece"), ("gemma3_text", "decoder")])
def test_families_that_overflow_in_float16(base, kind, style):
    refuse(base(kind, style), "overflows in float16", dtype="float16")


def test_positions_of_a_roberta_are_fewer_than_its_table(base, tmp_path):
    folder = tiny.saved(tmp_path / "m", base("roberta", "roberta"))
    tiny.rewrite(folder / "tokenizer_config.json", {"model_max_length": 512})
    spec = resolve(folder, ModelOptions(model=str(folder)))
    assert spec.max_tokens == 128
    assert any("130 tokens; its positions end at 128" in warning for warning in spec.warnings)
    # The last position is there: a text of full length goes through.
    assert Embedder.load(folder, dtype="float32").tokens(["mill " * 500]).lengths.tolist() == [128]
    assert Embedder.load(folder, dtype="float32").embed(["mill " * 500]).shape == (1, tiny.WIDTH)
    refuse(folder, "129 is more than the model's 128", max_tokens=129)


def test_weights_that_do_not_fit(folder):
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no weights"):
        Embedder.load(folder, dtype="float32")


def test_a_checkpoint_that_lacks_weights(base, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny.saved(tmp_path / "m", base("bert"))
    weights = load_file(folder / "model.safetensors")
    cut = {key: value for key, value in weights.items() if "layer.1.output" not in key}
    save_file(cut, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="they would be random"):
        Embedder.load(folder, dtype="float32")


def test_no_room_beside_the_special_tokens(folder):
    with pytest.raises(ModelError, match="leaves no room"):
        Embedder.from_options(ModelOptions(model=str(folder), max_tokens=2))
