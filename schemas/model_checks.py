"""What a model's folder must have, and what it must not be. Each refusal names the way out."""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.spec import ModelOptions

#: Families whose activations leave the range of float16.
_NO_FLOAT16 = ("t5", "mt5", "umt5", "longt5", "gemma")

_NEEDED = {
    "weights": ("*.safetensors", "pytorch_model*.bin"),
    "tokenizer": ("tokenizer.json", "vocab.*", "*.model"),
}


def check_usable(
    folder: Path, place: Path, *, config: dict[str, Any], saved: dict[str, Any], options: ModelOptions
) -> None:
    """Refuse what would give wrong vectors, or run code that nobody allowed."""
    if not config:
        raise ModelError(f"{place / 'config.json'} is missing or empty", way_out="fetch the model again")
    if (place / "adapter_config.json").exists():
        raise ModelError(f"{place} is an adapter", way_out="merge it into its base model, and save that")
    kind = saved.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(
            f"{folder} is a {kind}, which gives no one vector per text", way_out="use a SentenceTransformer"
        )
    if config.get("auto_map") and not options.trust_remote_code:
        raise ModelError(
            f"{folder} brings code of its own (auto_map in config.json)",
            way_out="read that code, then allow it with --trust-remote-code",
        )
    family = str(config.get("model_type", ""))
    if options.dtype == "float16" and family.startswith(_NO_FLOAT16):
        raise ModelError(f"{family} overflows in float16", way_out="--dtype bfloat16, or float32")


def check_complete(place: Path) -> None:
    """Refuse a folder without weights or without a tokenizer."""
    # Of a hub model the producer may hold the JSON files only; a folder must have all.
    for what, patterns in _NEEDED.items():
        if not any(True for pattern in patterns for _ in place.glob(pattern)):
            raise ModelError(f"{place} has no {what}: no {' or '.join(patterns)}", way_out="fetch the model again")
