"""The configuration of a Transformer module: its file under all its names, its keys under all theirs."""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_chat import message_config
from schemas.model_files import read_object
from schemas.spec import Task

#: Where the configuration of a Transformer module may lie; the first one with content counts.
_TRANSFORMER_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
#: Old spellings of keys of the Transformer module.
_TRANSFORMER_RENAMED = {
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "config_args": "config_kwargs",
}
_TRANSFORMER_KNOWN = frozenset(
    {"max_seq_length", "do_lower_case", "model_kwargs", "processor_kwargs", "config_kwargs", "unpad_inputs"}
    | {"modality_config", "module_output_name", "processing_kwargs"}
)
#: Keys that would change what is embedded in a way the engine does not do; each with the value that changes nothing.
_TRANSFORMER_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "tokenizer_name_or_path": (None,),
    "processor_name": (None,),
    "transformer_task": (None, "feature-extraction"),
    "query_length": (None,),
    "document_length": (None,),
    "query_expansion": (None,),
}
_USUAL = {"method": "forward", "method_output_name": "last_hidden_state"}
#: A model's own file must not be able to switch on its own code, or somebody's of a hub, or unpickling.
_SWITCHES = frozenset({"trust_remote_code", "weights_only", "use_kernels", "allow_all_kernels", "kernel_config"})
_METHODS = ("forward", "get_text_features")


def transformer_config(folder: Path) -> dict[str, Any]:
    """The configuration file of the Transformer module that lies in `folder`, keys in their new spelling."""
    found = next((content for name in _TRANSFORMER_FILES if (content := read_object(folder / name))), {})
    return {_TRANSFORMER_RENAMED.get(key, key): value for key, value in found.items()}


def resolved_transformer(config: dict[str, Any], folder: Path, task: Task | None = None) -> dict[str, Any]:
    """What of a Transformer module's configuration decides vectors; an error for what the engine does not do."""
    for key, value in config.items():
        if key in _TRANSFORMER_KNOWN or value in _TRANSFORMER_NEUTRAL.get(key, ()):
            continue
        raise ModelError(f"the Transformer module has {key} = {value!r}, which is not supported")
    arguments = {name: config.get(f"{name}_kwargs") or {} for name in ("model", "processor", "config")}
    return {
        "do_lower_case": bool(config.get("do_lower_case")),
        **{f"{name}_kwargs": _without_trust(values) for name, values in arguments.items()},
        **_unusual(config, folder, task),
    }


def _unusual(config: dict[str, Any], folder: Path, task: Task | None) -> dict[str, Any]:
    """What is said only where it is not the usual: messages instead of texts, another method, another output."""
    modalities = config.get("modality_config") or {"text": _USUAL}
    options = dict(config.get("processing_kwargs") or {})
    chat = options.pop("chat_template", {})
    if any(options.values()):
        raise ModelError(f"the Transformer module has processing_kwargs = {options!r}, which is not supported")
    entry = modalities.get("message", modalities.get("text"))
    if entry is None:
        raise ModelError(f"{folder} reads no texts: its modalities are {', '.join(modalities)}")
    found = message_config(folder, entry, chat, task) if "message" in modalities else None
    return ({"message": found} if found else {}) | _output(entry, config.get("module_output_name"))


def _output(entry: dict[str, Any], name: str | None) -> dict[str, Any]:
    usual = {key: entry.get(key, value) for key, value in _USUAL.items()} == _USUAL
    if usual and name in (None, "token_embeddings"):
        return {}
    method, output = entry.get("method"), entry.get("method_output_name")
    if method not in _METHODS or name != "sentence_embedding" or not (output is None or isinstance(output, str)):
        raise ModelError(f"the Transformer module takes {output!r} of {method!r} as {name!r}, which is not supported")
    return {"method": method, "output": output}


def _without_trust(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in _SWITCHES}
