"""How wide a vector is behind each module, and whether it stands for a token or for the sentence.

So a model whose modules do not fit is refused before a weight is loaded. The width of a table of vectors is read from
the head of its weights file, which is JSON.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from schemas.errors import ModelError
from schemas.model_files import check_file, read_object
from schemas.model_own import is_own, own_width
from schemas.spec import Module

_HIDDEN_KEYS = ("hidden_size", "d_model", "dim", "n_embd")
#: As safetensors itself has it.
_MOST_HEAD_BYTES = 100_000_000
_TABLES = ("embedding.weight", "embeddings", "emb_layer.weight")


@dataclass(frozen=True, slots=True)
class Shape:
    """The width of one vector, and what it stands for: behind a model's own code, `any` of them."""

    level: Literal["tokens", "sentence", "any"]
    width: int


def width_of(folder: Path, modules: tuple[Module, ...]) -> int:
    """The width of a sentence's vector behind all modules."""
    shape = _first(folder, modules)
    for number, module in enumerate(modules[1:], start=1):
        if is_own(module.kind):
            shape = Shape("any", own_width(folder, modules, number, shape.width))
            continue
        takes = module.config.get("in_features", module.config.get("dimension", shape.width))
        if takes != shape.width:
            raise ModelError(f"{module.kind} in {module.path!r} takes {takes} values, but gets {shape.width}")
        level = module.config.get("level", _LEVELS.get(module.kind))
        if module.kind not in _NEXT or (level is not None and shape.level not in (level, "any")):
            raise _misplaced(modules)
        shape = _NEXT[module.kind](module.config, shape)
    if shape.level == "tokens":
        raise _misplaced(modules)
    return shape.width


def hidden_width(config: dict[str, Any]) -> int:
    """The width of a network's hidden states, by its config.json."""
    for part in (config.get("text_config"), config.get("encoder"), config):
        for key in _HIDDEN_KEYS:
            if isinstance(part, dict) and isinstance(part.get(key), int):
                return int(part[key])
    raise ModelError(f"config.json names no width of the hidden states ({', '.join(_HIDDEN_KEYS)})")


def _first(folder: Path, modules: tuple[Module, ...]) -> Shape:
    if modules and is_own(modules[0].kind):
        return Shape("any", own_width(folder, modules, 0, None))
    if not modules or modules[0].kind not in _FIRST:
        raise _misplaced(modules)
    return _FIRST[modules[0].kind](folder / modules[0].path, modules)


def _misplaced(modules: tuple[Module, ...]) -> ModelError:
    kinds = ", ".join(module.kind for module in modules) or "none"
    return ModelError(
        f"the modules are {kinds}", way_out="supported is one that reads texts, those for tokens, Pooling, then others"
    )


def _network(place: Path, modules: tuple[Module, ...]) -> Shape:
    if "adapter" in modules[0].config:
        return Shape("tokens", modules[0].config["adapter"]["width"])
    config = read_object(place / "config.json")
    if modules[0].config.get("method") is not None:
        return Shape("sentence", int(config.get("projection_dim") or config["text_config"]["projection_dim"]))
    return Shape("tokens", hidden_width(config))


def _static(place: Path, modules: tuple[Module, ...]) -> Shape:
    return Shape("sentence", _table_width(place, modules))


def _words(place: Path, modules: tuple[Module, ...]) -> Shape:
    return Shape("tokens", _table_width(place, modules))


def _bag(place: Path, _: tuple[Module, ...]) -> Shape:
    return Shape("sentence", len(dict.fromkeys(read_object(place / "config.json").get("vocab", ()))))


def _table_width(place: Path, modules: tuple[Module, ...]) -> int:
    path = place / "model.safetensors"
    if path.exists():
        head = _weights_head(path)
        return next(int(head[name]["shape"][1]) for name in _TABLES if name in head)
    told = (module.config.get("in_features", module.config.get("dimension")) for module in modules[1:])
    width = next((value for value in told if value), read_object(place / "config.json").get("hidden_dim"))
    width = width or read_object(place.parent / "1_Pooling" / "config.json").get("word_embedding_dimension")
    if not isinstance(width, int):
        raise ModelError(f"how wide the vectors of {place} are is not said", way_out="save it as model.safetensors")
    return width


def _weights_head(path: Path) -> dict[str, Any]:
    check_file(path)
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _MOST_HEAD_BYTES:
            raise ModelError(f"{path} is no safetensors file", way_out="fetch the model again")
        head: dict[str, Any] = json.loads(file.read(size))
        return head


_FIRST: dict[str, Callable[[Path, tuple[Module, ...]], Shape]] = {
    "Transformer": _network,
    "StaticEmbedding": _static,
    "WordEmbeddings": _words,
    "BoW": _bag,
}
_LEVELS = {"Pooling": "tokens", "WeightedLayerPooling": "tokens", "LSTM": "tokens", "CNN": "tokens"} | {
    "WordWeights": "tokens",
    "Dense": "sentence",
    "LayerNorm": "sentence",
}
_NEXT: dict[str, Callable[[dict[str, Any], Shape], Shape]] = {
    "Pooling": lambda config, shape: Shape("sentence", shape.width * len(config["modes"])),
    "Dense": lambda config, _: Shape(config.get("level", "sentence"), config["out_features"]),
    "LSTM": lambda config, _: Shape("tokens", config["hidden"] * (2 if config["bidirectional"] else 1)),
    "CNN": lambda config, _: Shape("tokens", config["channels"] * len(config["kernels"])),
    **{
        kind: lambda _, shape: shape
        for kind in ("Normalize", "Dropout", "LayerNorm", "WeightedLayerPooling", "WordWeights")
    },
}
