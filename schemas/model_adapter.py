"""Adapters: a folder that holds what a training changed, and names the base model that it changed.

Knows how the base of an adapter is named, and which adapters can be merged into it. Loads no weight; where a model of
some name lies, it asks its caller.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import identity, read_object
from schemas.model_name import folder_named, hub_id
from schemas.model_own import has_own
from schemas.model_shape import hidden_width
from schemas.spec import Module

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
#: What may be said of a LoRA that merges into its base. Any other key must say nothing; of DoRA, transformers does not
#: find the magnitudes again, so sentence-transformers loads other vectors than were trained.
_KNOWN = frozenset(
    {"peft_type", "peft_version", "base_model_name_or_path", "revision", "auto_mapping", "task_type", "inference_mode"}
    | {"r", "lora_alpha", "lora_dropout", "use_rslora", "fan_in_fan_out", "rank_pattern", "alpha_pattern"}
    | {"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "init_lora_weights"}
    | {"modules_to_save", "megatron_core", "qalora_group_size", "runtime_config"}
)
#: Values that say nothing; `bias` spells it out.
_NOTHING: tuple[Any, ...] = (None, False, "none", {}, [])
#: Ways to begin a training that leave the base as it is. Others change its weights, some of them at random.
_INITS = (True, False, None, "gaussian", "orthogonal")

Find = Callable[[str], tuple[Path, str | None]]


@dataclass(frozen=True, slots=True)
class Base:
    """The model under an adapter: its name, where it lies, and its commit where it came from a hub."""

    name: str
    folder: Path
    commit: str | None


def find_folder(name: str) -> tuple[Path, None]:
    """A model that is a folder here; an error for all others."""
    folder = folder_named(name)
    if folder is None:
        raise ModelError(f"{name} is no folder", way_out="give a folder that holds a model")
    return folder, None


def is_adapter(place: Path) -> bool:
    """Whether the network in this folder is an adapter."""
    return (place / CONFIG).exists()


def base_of(place: Path, find: Find) -> Base | None:
    """The base model of the adapter in `place`, None where there is no adapter; an error for one that cannot merge."""
    if not is_adapter(place):
        return None
    config = read_object(place / CONFIG)
    _check_kind(place, config)
    if (place / "config.json").exists():
        raise ModelError(
            f"{place} holds an adapter and a network of its own (config.json)",
            way_out="keep one of them: merge the adapter and save that, or take config.json and its weights out",
        )
    named = config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise ModelError(f"{place / CONFIG} names no base model", way_out="set base_model_name_or_path in it")
    try:
        folder, commit = find(named)
    except ModelError as cause:
        raise ModelError(f"the adapter in {place} changes {named!r}, which is not to be had: {cause}") from cause
    if is_adapter(folder):
        raise ModelError(f"{folder}, which the adapter in {place} changes, is an adapter too", way_out="merge that one")
    return Base(name=str(folder) if commit is None else hub_id(named), folder=folder, commit=commit)


def content_in(folder: Path, commit: str | None, modules: tuple[Module, ...], base: Base | None) -> str:
    """The identity of all files that decide vectors: the model's, and those of the base that it changes."""
    own = identity(folder, commit, [module.path for module in modules], every=has_own(modules))
    return own if base is None else f"{own}+{identity(base.folder, base.commit, ())}"


def adapted(modules: tuple[Module, ...], network: dict[str, Any], place: Path) -> tuple[Module, ...]:
    """The width of the states is the base's, which lies elsewhere, so the module itself keeps it."""
    first = modules[0]
    if first.kind != "Transformer" or "method" in first.config:
        raise ModelError(f"{place} is an adapter of something else than a network that reads texts")
    kept = {**first.config, "adapter": {"width": hidden_width(network)}}
    return (first.model_copy(update={"config": kept}), *modules[1:])


def _check_kind(place: Path, config: dict[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(
            f"{place} is an adapter of the kind {kind}, where LORA is supported",
            way_out="merge it into its base model, and save that",
        )
    unknown = sorted(key for key, value in config.items() if key not in _KNOWN and value not in _NOTHING)
    begun = config.get("init_lora_weights")
    if begun not in _INITS:
        unknown.append("init_lora_weights")
    if unknown:
        told = ", ".join(f"{key} = {config[key]!r}" for key in unknown)
        raise ModelError(
            f"the adapter in {place} has {told}, which is not supported",
            way_out="merge it into its base model, and save that",
        )
