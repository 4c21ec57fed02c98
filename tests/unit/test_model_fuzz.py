"""Whatever the JSON files of a model hold, they resolve to a spec that survives its own JSON, or to a `ModelError`."""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.model_variant import vary
from schemas.spec import ModelOptions, Spec
from tests.unit.test_message import anything
from tests.unit.test_run_records import places, replaced

pytestmark = pytest.mark.fuzz

BERT = {"model_type": "bert", "hidden_size": 8, "max_position_embeddings": 64, "architectures": ["BertModel"]}
LIBRARY = "sentence_transformers.models"
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}]}
TOKENIZER = {"post_processor": {"type": "Sequence", "processors": [TEMPLATE]}, "truncation": {"max_length": 9}}


def modules(*kinds: str) -> list[dict[str, Any]]:
    paths = ["", *(f"{at}_{kind}" for at, kind in enumerate(kinds[1:], 1))]
    return [
        {"idx": at, "name": str(at), "path": path, "type": f"{LIBRARY}.{kind}"}
        for at, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]


SENTENCES: dict[str, Any] = {
    "modules.json": modules("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize"),
    "config.json": BERT,
    "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False, "model_args": {"x": 1}},
    "config_sentence_transformers.json": {
        "prompts": {"query": "query: "}, "default_prompt_name": "query", "truncate_dim": 4,
        "model_type": "SentenceTransformer",
    },
    "tokenizer.json": TOKENIZER,
    "tokenizer_config.json": {"model_max_length": 64, "tokenizer_class": "BertTokenizer"},
    "1_Pooling/config.json": {"word_embedding_dimension": 8, "pooling_mode_lasttoken": True, "include_prompt": True},
    "2_Dense/config.json": {
        "in_features": 8, "out_features": 6, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"
    },
    "3_LayerNorm/config.json": {"dimension": 6},
    "4_Normalize/config.json": {},
}  # fmt: skip
ROUTED: dict[str, Any] = {
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": f"{LIBRARY}.Router"}],
    "router_config.json": {
        "types": {"q": f"{LIBRARY}.BoW", "d": f"{LIBRARY}.BoW"},
        "structure": {"query": ["q"], "document": ["d"]},
        "parameters": {
            "default_route": "query",
            "allow_empty_key": True,
            "route_mappings": {"('query', None)": "query"},
        },
    },
    "q/config.json": {"vocab": ["a", "b"], "cumulative_term_frequency": True},
    "d/config.json": {"vocab": ["a", "b"]},
}
WORDS: dict[str, Any] = {
    "modules.json": modules("WordEmbeddings", "WordWeights", "CNN", "LSTM", "Pooling"),
    "config.json": {"hidden_dim": 8},
    "wordembedding_config.json": {"tokenizer_class": f"{LIBRARY}.tokenizer.WhitespaceTokenizer", "max_seq_length": 9},
    "whitespacetokenizer_config.json": {"vocab": ["a", "b"]},
    "1_WordWeights/config.json": {"vocab": ["a", "b"], "word_weights": {"a": 1.0}},
    "2_CNN/cnn_config.json": {"in_word_embedding_dimension": 8, "out_channels": 2, "kernel_sizes": [1, 3]},
    "3_LSTM/lstm_config.json": {"word_embedding_dimension": 4, "hidden_dim": 3, "num_layers": 1, "bidirectional": True},
    "4_Pooling/config.json": {"embedding_dimension": 6, "pooling_mode": ["mean", "max"]},
}
CHAT: dict[str, Any] = {
    "config.json": {"model_type": "qwen3", "hidden_size": 8, "architectures": ["Qwen3ForCausalLM"]},
    "tokenizer.json": TOKENIZER,
    "tokenizer_config.json": {"chat_template": [{"name": "default", "template": "{{ messages }} {{ task }}"}]},
}
ADAPTER: dict[str, Any] = {
    "modules.json": modules("Transformer", "Pooling"),
    "adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "base", "r": 4, "target_modules": ["q"]},
    "adapter_model.safetensors": {},
    "1_Pooling/config.json": {"pooling_mode": "mean"},
    "tokenizer.json": TOKENIZER,
    "base/config.json": BERT,
    "base/model.safetensors": {},
}
LAYOUTS = (SENTENCES, ROUTED, WORDS, CHAT, ADAPTER)
#: What else may be found where a value of some kind is expected: wrong signs, sizes, names that lead elsewhere.
odd = st.sampled_from([-1, 0, 2**63, 1e400, float("nan"), "", "../..", "/etc", "torch.nn.Linear", [], {}, None, True])
OPTIONS = [
    ModelOptions(model="m"), ModelOptions(model="m", task="query"), ModelOptions(model="m", task="document", dims=2),
    ModelOptions(model="m", pooling="lasttoken", normalize=True, max_tokens=8),
]  # fmt: skip


def saved(folder: Path, layout: dict[str, Any]) -> Path:
    for name, content in layout.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (folder / "model.safetensors").touch() if layout is not ADAPTER and layout is not WORDS else None
    (folder / "pytorch_model.bin").touch() if layout is WORDS else None
    return folder


def resolved(folder: Path, options: ModelOptions) -> Spec | None:
    def find(name: str) -> tuple[Path, None]:
        return folder / "base" if name == "base" else Path(name), None

    try:
        spec = resolve(folder, options, find=find)
    except ModelError:
        return None
    assert Spec.model_validate_json(spec.model_dump_json()).fingerprint == spec.fingerprint
    assert spec.dims > 0
    assert spec.max_tokens is None or spec.max_tokens > 0
    assert not any(module.path.startswith("/") or ".." in module.path.split("/") for module in spec.modules)
    with contextlib.suppress(ModelError):
        vary(spec, folder, ModelOptions(model="m", task="document", prompt="p", dims=1), find=find)
    return spec


@pytest.mark.parametrize("layout", LAYOUTS)
def test_as_they_are_they_resolve(tmp_path: Path, layout: dict[str, Any]) -> None:
    assert resolved(saved(tmp_path, layout), OPTIONS[0]) is not None


CASES = [(layout, name, place) for layout in LAYOUTS for name in layout for place in places(layout[name])]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.sampled_from(CASES), by=anything | odd, options=st.sampled_from(OPTIONS))
@example(case=(SENTENCES, "config_sentence_transformers.json", ("truncate_dim",)), by=-5, options=OPTIONS[0])
@example(case=(SENTENCES, "sentence_bert_config.json", ("model_args", "x")), by=float("nan"), options=OPTIONS[0])
def test_another_value_in_a_place(
    tmp_path: Path, case: tuple[dict[str, Any], str, tuple[Any, ...]], by: Any, options: ModelOptions
) -> None:
    layout, name, place = case
    folder = tmp_path / str(LAYOUTS.index(layout))
    whole = folder if folder.exists() else saved(folder, layout)
    (whole / name).write_text(json.dumps(replaced(layout[name], place, by)))
    resolved(whole, options)
    (whole / name).write_text(json.dumps(layout[name]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SENTENCES)), content=st.binary(max_size=60))
@example(name="tokenizer.json", content=b"[" * 100_000)
@example(name="config.json", content=b'{"a":' * 100_000)
def test_a_file_that_is_no_json(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "model"
    whole = folder if folder.exists() else saved(folder, SENTENCES)
    (whole / name).write_bytes(content)
    resolved(whole, OPTIONS[0])
    (whole / name).write_text(json.dumps(SENTENCES[name]))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    # The address of a socket is short: it is made from inside its folder.
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [*SENTENCES, "chat_template.jinja", "vocab.txt", "model.safetensors"])
@pytest.mark.parametrize(("make", "called"), [(pipe, "a named pipe"), (unix_socket, "a socket"), (device, "a device")])
def test_what_is_no_file_is_named_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Any, called: str
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, SENTENCES)
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(ModelError, match=f"{Path(name).name} is {called}"):
        resolve(tmp_path, OPTIONS[0])
