"""What a model's folder must have, and what it must not be. Each refusal names the way out."""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_adapter import WEIGHTS, Base
from schemas.model_files import read_object
from schemas.spec import ModelOptions, Module

#: Families whose activations leave the range of float16.
_NO_FLOAT16 = ("t5", "mt5", "umt5", "longt5", "switch_transformers", "gemma")
#: Families that no text alone goes through as they are: why, and what to do.
_NOT_FOR_TEXTS = {
    "udop": ("needs the place of every word on its page, which a text has not", "use a model for texts"),
    "t5gemma2": (
        "is a whole encoder-decoder, which does not load as it is",
        "save its encoder alone, once, with sentence-transformers: SentenceTransformer(folder).save(other_folder)",
    ),
}

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_TOKENIZER = ("tokenizer.json", "vocab.*", "*.model")
#: What must be there, by the kind of the first module. All other kinds are JSON alone.
_NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "Transformer": {"weights": _WEIGHTS, "tokenizer": _TOKENIZER},
    "StaticEmbedding": {"weights": _WEIGHTS, "tokenizer": ("tokenizer.json",)},
    "WordEmbeddings": {"weights": _WEIGHTS},
}
_WORD_TOKENIZERS = {
    "WhitespaceTokenizer": ("whitespacetokenizer_config.json",),
    "PhraseTokenizer": ("phrasetokenizer_config.json",),
    "TransformersTokenizerWrapper": _TOKENIZER,
}
#: Tokenizers that read bytes or characters, and so have no vocabulary to save.
_NO_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")


def check_usable(
    folder: Path, *, module: Module, network: dict[str, Any], saved: dict[str, Any], options: ModelOptions
) -> None:
    """Refuse what would give wrong vectors, or run code that nobody allowed. `network` is its config.json."""
    kind = saved.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(
            f"{folder} is a {kind}, which gives no one vector per text", way_out="use a SentenceTransformer"
        )
    if module.kind != "Transformer":
        if options.dtype == "int8":
            raise ModelError(
                f"{folder} is a {module.kind}, not a network: int8 makes nothing faster there",
                way_out="--dtype float32",
            )
        return
    if not network:
        raise ModelError(f"config.json of {folder / module.path} is missing or empty", way_out="fetch the model again")
    if network.get("auto_map") and not options.trust_remote_code:
        raise ModelError(
            f"{folder} brings code of its own (auto_map in config.json)",
            way_out="read that code, then allow it with --trust-remote-code",
        )
    family = str(network.get("model_type", ""))
    if family in _NOT_FOR_TEXTS:
        why, way_out = _NOT_FOR_TEXTS[family]
        raise ModelError(f"{folder} is of family {family}, which {why}", way_out=way_out)
    if options.dtype == "float16" and family.startswith(_NO_FLOAT16):
        raise ModelError(f"{family} overflows in float16", way_out="--dtype bfloat16, or float32")


def code_warning(network: dict[str, Any]) -> str:
    """What to tell where a model's own code lies in another repository; else nothing."""
    names = (name for name in (network.get("auto_map") or {}).values() if isinstance(name, str))
    elsewhere = sorted({name.partition("--")[0] for name in names if "--" in name})
    if not elsewhere:
        return ""
    return f"the model's code comes from {', '.join(elsewhere)}, whatever is there now: no fingerprint covers it"


def check_complete(place: Path, module: Module, base: Base | None) -> None:
    """Refuse a folder without weights or without a tokenizer. An adapter's base has weights of its own."""
    # Of a hub model the producer may hold the JSON files only; a folder must have all.
    plain = read_object(place / "tokenizer_config.json").get("tokenizer_class") in _NO_VOCABULARY
    needed = dict(_NEEDED.get(module.kind, {}))
    if module.kind == "WordEmbeddings":
        needed["tokenizer"] = _WORD_TOKENIZERS[module.config["tokenizer"]]
    for what, patterns in needed.items():
        if what == "weights" and base is not None:
            _check_adapted(place, base, patterns)
            continue
        if not any(True for pattern in patterns for _ in place.glob(pattern)) and not (plain and what == "tokenizer"):
            raise ModelError(f"{place} has no {what}: no {' or '.join(patterns)}", way_out="fetch the model again")


def _check_adapted(place: Path, base: Base, patterns: tuple[str, ...]) -> None:
    if not any((place / name).exists() for name in WEIGHTS):
        raise ModelError(f"{place} is an adapter without weights: no {' or '.join(WEIGHTS)}", way_out="fetch it again")
    if base.commit is None and not any(True for pattern in patterns for _ in base.folder.glob(pattern)):
        raise ModelError(f"{base.folder}, which the adapter in {place} changes, has no weights", way_out="fetch it")


def without_idle_layers(
    network: dict[str, Any], modules: tuple[Module, ...], warnings: list[str]
) -> tuple[Module, ...]:
    """Take out a WeightedLayerPooling that the network hands no layers, which does nothing in the oracle either."""
    config = network | modules[0].config.get("config_kwargs", {})
    idle = [m for m in modules if m.kind == "WeightedLayerPooling" and not config.get("output_hidden_states")]
    if idle:
        warnings.append("WeightedLayerPooling does nothing: output_hidden_states is not set in config.json")
    return tuple(module for module in modules if module not in idle)


def end_token_warning(place: Path, modules: tuple[Module, ...]) -> str:
    """What to tell where the last token stands for a text, but is one of its own; else nothing."""
    last = any("lasttoken" in module.config.get("modes", ()) for module in modules)
    tokenizer = read_object(place / "tokenizer.json") if last and "message" not in modules[0].config else {}
    if not tokenizer or _appends(tokenizer.get("post_processor") or {}):
        return ""
    return "the last token stands for a text, but the tokenizer appends no end token: its own last word part counts"


def _appends(processor: dict[str, Any]) -> bool:
    if processor.get("type") == "Sequence":
        return any(_appends(inner) for inner in processor["processors"])
    if processor.get("type") == "TemplateProcessing":
        return bool(processor["single"]) and "SpecialToken" in processor["single"][-1]
    return processor.get("type") in ("BertProcessing", "RobertaProcessing")
