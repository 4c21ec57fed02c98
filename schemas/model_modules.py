"""The modules of a model folder, resolved: each kind with its own configuration in one spelling.

A registry by kind: a kind that is not in it is an error, never a skip. Nothing here loads a weight.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_json, read_object
from schemas.model_transformer import resolved_transformer, transformer_config
from schemas.spec import Module

#: The flags of the old Pooling schema, in the order in which they are concatenated.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLING_KNOWN = frozenset({"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt"})

_SENTENCE_IO = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}


def read_modules(folder: Path) -> tuple[Module, ...]:
    """What modules.json lists, in its order; () where there is no such file."""
    entries = read_json(folder / "modules.json")
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "type" in entry for entry in entries):
        raise ModelError(f"{folder / 'modules.json'} is no list of modules", way_out="fetch the model again")
    modules = tuple(_read_module(folder, entry) for entry in entries)
    _check_order([module.kind for module in modules])
    return modules


def raw_modules(config: dict[str, Any]) -> tuple[Module, ...]:
    """The modules of a checkpoint that has no modules.json, by the rule sentence-transformers follows."""
    architecture = next(iter(config.get("architectures") or ()), "")
    causal = architecture.endswith("ForCausalLM") and config.get("is_causal", True)
    pooling = {"modes": ["lasttoken" if causal else "mean"], "include_prompt": True}
    return (Module(kind="Transformer", config=resolved_transformer({})), Module(kind="Pooling", config=pooling))


def _read_module(folder: Path, entry: dict[str, Any]) -> Module:
    kind, path = _kind(entry["type"]), str(entry.get("path") or "")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ModelError(f"modules.json of {folder} names the folder {path!r}, which lies outside the model")
    if kind == "Transformer":
        return Module(kind=kind, path=path, config=resolved_transformer(transformer_config(folder / path)))
    reader = _READERS.get(kind)
    if reader is None:
        known = ", ".join(["Transformer", *_READERS])
        raise ModelError(f"module {entry['type']} of {folder} is not supported", way_out=f"supported are {known}")
    return Module(kind=kind, path=path, config=reader(read_object(folder / path / "config.json"), f"{folder / path}"))


def _kind(dotted: str) -> str:
    prefix, _, name = dotted.rpartition(".")
    if prefix.partition(".")[0] != "sentence_transformers":
        raise ModelError(
            f"module {dotted} is code of the model's own; remote code needs trust, and modules of a model's own "
            "are not supported even then",
            way_out="use a model whose modules.json lists only types of sentence_transformers",
        )
    return name


def _check_order(kinds: list[str]) -> None:
    if kinds[:2] != ["Transformer", "Pooling"] or {"Transformer", "Pooling"} & set(kinds[2:]):
        raise ModelError(
            f"the modules are {', '.join(kinds) or 'none'}", way_out="supported is Transformer, Pooling, then others"
        )


def _pooling(config: dict[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(config, _POOLING_KNOWN | set(_POOLING_FLAGS), where)
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else list(modes)
    unknown = [mode for mode in modes if mode not in _POOLING_FLAGS.values()]
    if unknown or not modes:
        raise ModelError(f"{where}: pooling {unknown} is unknown", way_out=f"known are {list(_POOLING_FLAGS.values())}")
    return {"modes": modes, "include_prompt": bool(config.get("include_prompt", True))}


def _normalize(config: dict[str, Any], where: str) -> dict[str, Any]:
    _sentence_level(config, where)
    return {}


def _dense(config: dict[str, Any], where: str) -> dict[str, Any]:
    _sentence_level(config, where)
    activation = config.get("activation_function") or "torch.nn.modules.activation.Tanh"
    if not activation.startswith("torch.nn."):
        raise ModelError(f"{where}: activation {activation} is not one of torch", way_out="use a torch.nn activation")
    return {
        "in_features": _number(config, "in_features", where),
        "out_features": _number(config, "out_features", where),
        "bias": bool(config.get("bias", True)),
        "activation": activation.rpartition(".")[2],
        "residual": bool(config.get("use_residual", False)),
    }


def _layer_norm(config: dict[str, Any], where: str) -> dict[str, Any]:
    return {"dimension": _number(config, "dimension", where)}


def _dropout(config: dict[str, Any], where: str) -> dict[str, Any]:
    return {}


def _number(config: dict[str, Any], key: str, where: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value <= 0:
        raise ModelError(f"{where}/config.json has {key} = {value!r}", way_out="fetch the model again")
    return value


def _sentence_level(config: dict[str, Any], where: str) -> None:
    for key, usual in _SENTENCE_IO.items():
        if config.get(key) not in (None, usual):
            raise ModelError(f"{where}/config.json has {key} = {config[key]!r}; supported is {usual!r} only")


def _refuse_unknown(config: dict[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    unknown = sorted(set(config) - known)
    if unknown:
        raise ModelError(f"{where}/config.json has unknown keys: {', '.join(unknown)}")


_READERS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "Pooling": _pooling,
    "Normalize": _normalize,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
}
