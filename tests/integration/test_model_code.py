"""No file of a model runs code, or fetches some, unless that was allowed; whatever it asks of transformers."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from schemas.errors import ModelError
from worker.engine import Embedder

pytestmark = pytest.mark.integration


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def asking(folder: Path, **arguments: dict[str, Any]) -> Path:
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64, **arguments}))
    return folder


@pytest.mark.parametrize(
    "arguments", [{}, {"model_args": {"weights_only": False}}, {"model_kwargs": {"weights_only": 0}}]
)
def test_weights_that_are_more_than_weights_are_refused(
    folder: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    marker = tmp_path / "it-ran"
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Evil(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Embedder.load(asking(folder, **arguments))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["use_kernels", "allow_all_kernels", "trust_remote_code"])
@pytest.mark.parametrize("kind", ["model_args", "config_args", "tokenizer_args"])
def test_switches_of_foreign_code_stay_off(folder: Path, kind: str, name: str) -> None:
    first = Embedder.load(asking(folder, **{kind: {name: True}})).spec.modules[0]
    assert name not in json.dumps(first.config)


@pytest.mark.parametrize("way", ["config_args", "model_args", "config.json"])
def test_attention_is_not_fetched_from_a_hub(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(
        "transformers.integrations.hub_kernels.load_and_register_attn_kernel", lambda *names, **_: fetched.append(names)
    )
    monkeypatch.setattr(
        "transformers.modeling_utils.load_and_register_attn_kernel",
        lambda *names, **_: fetched.append(names),
        raising=False,
    )
    name = {"attn_implementation": "someone/attention"}
    if way == "config.json":
        config = json.loads((folder / way).read_text())
        (folder / way).write_text(json.dumps(config | name | {"_attn_implementation": name["attn_implementation"]}))
    else:
        asking(folder, **{way: name})
    if way == "model_args":
        Embedder.load(folder)  # The engine decides it, whatever they say.
    else:
        with pytest.raises(ModelError, match="someone/attention"):
            Embedder.load(folder)
    assert fetched == []
