"""The fingerprint of a model that works never changes: a table made with it must take its next run."""

import json

import pytest

from schemas.model_folder import resolve
from schemas.spec import ModelOptions

_FILES = {
    "config.json": {"model_type": "bert", "hidden_size": 8, "max_position_embeddings": 64},
    "tokenizer_config.json": {"model_max_length": 512},
    "tokenizer.json": {},
    "model.safetensors": {},
    "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": True, "model_args": {"a": 1}},
    "1_Pooling/config.json": {"word_embedding_dimension": 8, "pooling_mode_cls_token": True},
    "2_Dense/config.json": {
        "in_features": 8,
        "out_features": 4,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    },
    "3_LayerNorm/config.json": {"dimension": 4},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}},
}
_KINDS = ["Transformer", "Pooling", "Dense", "LayerNorm", "Dropout", "Normalize"]


@pytest.fixture
def folder(tmp_path):
    for name, content in _FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    listed = [
        {
            "idx": at,
            "name": str(at),
            "path": f"{at}_{kind}" if at else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for at, kind in enumerate(_KINDS)
    ]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "fingerprint"),
    [
        ({}, "3d9d4539c1ed045dfa47c9883b7b93b6"),
        ({"prompt_name": "query", "dims": 2, "normalize": True, "pooling": "mean"}, "ae78a62b17ed5a7b28867bf92ef5956d"),
        (
            {"task": "query", "max_tokens": 16, "normalize": False, "dtype": "float32"},
            "abff949f03cee7ae40d8038c20001d5c",
        ),
    ],
)
def test_golden(folder, options, fingerprint):
    assert resolve(folder, ModelOptions(model=str(folder), **options)).fingerprint == fingerprint


def test_golden_without_modules_json(folder):
    (folder / "modules.json").unlink()
    assert resolve(folder, ModelOptions(model=str(folder))).fingerprint == "400768f298d2820814713352001f1c03"
