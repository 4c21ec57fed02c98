"""The modules of a model folder, resolved: modules.json read entry by entry, a Router replaced by the task's route.

Knows the names of kinds; what a kind's folder says is in `model_kinds` and, for modules that read texts, in
`model_first`. Nothing here loads a weight.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from schemas.errors import ModelError
from schemas.model_chat import chat_template, message_form
from schemas.model_files import read_json
from schemas.model_first import FIRST
from schemas.model_kinds import READERS, Place
from schemas.model_own import is_own, own_module
from schemas.model_route import route_entries
from schemas.model_transformer import resolved_transformer
from schemas.spec import Module, Task

_READERS = FIRST | READERS
_ALIASES = {"Asym": "Router"}


def read_modules(folder: Path, task: Task | None = None, warnings: list[str] | None = None) -> tuple[Module, ...]:
    """What modules.json lists, in its order; () where there is no such file. Adds to `warnings` what to tell."""
    entries = _entries(folder, task)
    warnings = [] if warnings is None else warnings
    return tuple(
        own_module(entry, _path(folder, entry), task, warnings)
        if is_own(_kind(entry["type"]))
        else _read_module(entry, Place(folder / _path(folder, entry), warnings, task))
        for entry in entries
    )


def has_routes(folder: Path) -> bool:
    """Whether the task decides what a text goes through: by a Router, or by code of the model's own."""
    kinds = [_kind(entry["type"]) for entry in _listed(folder)]
    return any(kind == "Router" or is_own(kind) for kind in kinds)


def raw_modules(folder: Path, config: dict[str, Any], task: Task | None = None) -> tuple[Module, ...]:
    """The modules of a checkpoint that has no modules.json, by the rule sentence-transformers follows."""
    architecture = next(iter(config.get("architectures") or ()), "")
    causal = architecture.endswith("ForCausalLM") and config.get("is_causal", True)
    pooling = {"modes": ["lasttoken" if causal else "mean"], "include_prompt": True}
    # Only a model that was never saved for sentences is taken for a chat model because it has a template.
    template = chat_template(folder)
    message = {"format": message_form(template, config.get("model_type"))}
    said: dict[str, Any] = {"modality_config": {"message": message}} if template else {}
    return (
        Module(kind="Transformer", config=resolved_transformer(said, folder, task)),
        Module(kind="Pooling", config=pooling),
    )


def _listed(folder: Path) -> list[dict[str, Any]]:
    entries = read_json(folder / "modules.json")
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "type" in entry for entry in entries):
        raise ModelError(f"{folder / 'modules.json'} is no list of modules", way_out="fetch the model again")
    # A name that comes twice takes the first one's place, as in the oracle; `idx` counts for nothing.
    return list({str(entry.get("name", place)): entry for place, entry in enumerate(entries)}.values())


def _entries(folder: Path, task: Task | None) -> list[dict[str, Any]]:
    expanded = []
    for entry in _listed(folder):
        if _kind(entry["type"]) == "Router":
            path = _path(folder, entry)
            expanded += route_entries(Place(folder / path), path, task)
        else:
            expanded.append(entry)
    return expanded


def _read_module(entry: dict[str, Any], place: Place) -> Module:
    kind, path = _kind(entry["type"]), str(entry.get("path") or "")
    if kind not in _READERS:
        known = ", ".join([*_READERS, "Router"])
        raise ModelError(f"module {entry['type']} in {place.folder} is not supported", way_out=f"supported are {known}")
    config = _READERS[kind](place)
    return Module(kind="Transformer" if kind == "CLIPModel" else kind, path=path, config=config)


def _path(folder: Path, entry: dict[str, Any]) -> str:
    path = str(entry.get("path") or "")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ModelError(f"modules.json of {folder} names the folder {path!r}, which lies outside the model")
    return path


def _kind(dotted: str) -> str:
    """The name of a class of sentence-transformers; of any other class, all of what modules.json says."""
    prefix, _, name = str(dotted).rpartition(".")
    if not prefix:
        raise ModelError(f"modules.json has the type {dotted!r}, which names no class", way_out="fetch the model again")
    # Every release moved its classes; the name of the class stayed.
    return _ALIASES.get(name, name) if prefix.partition(".")[0] == "sentence_transformers" else dotted
