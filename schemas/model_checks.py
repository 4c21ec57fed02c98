"""What a model's folder must have, and what it must not be. Each refusal names the way out."""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
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
_NEEDED = {
    "Transformer": {"weights": _WEIGHTS, "tokenizer": _TOKENIZER},
    "StaticEmbedding": {"weights": _WEIGHTS, "tokenizer": ("tokenizer.json",)},
    "WordEmbeddings": {"weights": _WEIGHTS, "tokenizer": ("whitespacetokenizer_config.json",)},
}
#: Tokenizers that read bytes or characters, and so have no vocabulary to save.
_NO_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")


def check_usable(folder: Path, place: Path, *, module: Module, saved: dict[str, Any], options: ModelOptions) -> None:
    """Refuse what would give wrong vectors, or run code that nobody allowed."""
    kind = saved.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(
            f"{folder} is a {kind}, which gives no one vector per text", way_out="use a SentenceTransformer"
        )
    if module.kind != "Transformer":
        return
    if (place / "adapter_config.json").exists():
        raise ModelError(f"{place} is an adapter", way_out="merge it into its base model, and save that")
    config = read_object(place / "config.json")
    if not config:
        raise ModelError(f"{place / 'config.json'} is missing or empty", way_out="fetch the model again")
    if config.get("auto_map") and not options.trust_remote_code:
        raise ModelError(
            f"{folder} brings code of its own (auto_map in config.json)",
            way_out="read that code, then allow it with --trust-remote-code",
        )
    family = str(config.get("model_type", ""))
    if family in _NOT_FOR_TEXTS:
        why, way_out = _NOT_FOR_TEXTS[family]
        raise ModelError(f"{folder} is of family {family}, which {why}", way_out=way_out)
    if options.dtype == "float16" and family.startswith(_NO_FLOAT16):
        raise ModelError(f"{family} overflows in float16", way_out="--dtype bfloat16, or float32")


def check_complete(place: Path, module: Module) -> None:
    """Refuse a folder without weights or without a tokenizer."""
    # Of a hub model the producer may hold the JSON files only; a folder must have all.
    plain = read_object(place / "tokenizer_config.json").get("tokenizer_class") in _NO_VOCABULARY
    for what, patterns in _NEEDED.get(module.kind, {}).items():
        if not any(True for pattern in patterns for _ in place.glob(pattern)) and not (plain and what == "tokenizer"):
            raise ModelError(f"{place} has no {what}: no {' or '.join(patterns)}", way_out="fetch the model again")


def without_idle_layers(folder: Path, modules: tuple[Module, ...], warnings: list[str]) -> tuple[Module, ...]:
    """Take out a WeightedLayerPooling that the network hands no layers, which does nothing in the oracle either."""
    config = read_object(folder / modules[0].path / "config.json") | modules[0].config.get("config_kwargs", {})
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
