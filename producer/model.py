"""Finds the small files of a model and resolves them to a spec, before anything is enqueued. Loads no weights."""

from pathlib import Path

from schemas.model_adapter import find_folder
from schemas.model_files import read_json
from schemas.model_folder import resolve
from schemas.model_name import folder_named, hub_id
from schemas.spec import ModelOptions, Spec

#: What a spec is read from; weights stay where they are.
_DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.jinja", "*.py"]
#: Kinds of modules whose width only the head of their weights file tells.
_TABLES = ("StaticEmbedding", "WordEmbeddings")

#: Weight files, in the order in which they are looked for.
_WEIGHTS = ("*.safetensors", "*.bin")


def resolve_model(options: ModelOptions) -> Spec:
    """The spec of a hub id or a folder; raises `ModelError` where it is unknown or would give wrong vectors."""
    folder = folder_named(options.model)
    if folder is not None:
        # A worker runs elsewhere, where a relative name would be another folder or none.
        return resolve(folder, options.model_copy(update={"model": str(folder)}), find=_find)
    name = hub_id(options.model)
    snapshot = _from_hub(name, options.revision, _DESCRIPTIONS)
    if _is_table(snapshot):
        snapshot = _from_hub(name, options.revision, [*_DESCRIPTIONS, "*.safetensors"])
    return resolve(snapshot, options.model_copy(update={"model": name}), revision=snapshot.name, find=_find)


def model_folder(spec: Spec) -> Path:
    """Where the small files of a model are that was resolved before."""
    return folder_named(spec.model) or _from_hub(spec.model, spec.revision, _DESCRIPTIONS)


def weight_bytes(spec: Spec) -> int:
    """The size of a model's weight files, its base's included, as far as they are on this machine; 0 where none is."""
    models = [(spec.model, spec.revision), *([(spec.base, spec.base_revision)] if spec.base else [])]
    return sum(_weights_in(folder_named(name) or _from_cache(name, revision)) for name, revision in models)


def _weights_in(folder: Path | None) -> int:
    if folder is None:
        return 0
    found = next((some for kind in _WEIGHTS if (some := [*folder.rglob(kind)])), [])
    return sum(path.stat().st_size for path in found)


def _from_cache(name: str, revision: str | None) -> Path | None:
    from producer.hub import snapshot

    return snapshot(name, revision)


def _find(name: str) -> tuple[Path, str | None]:
    """The base model of an adapter: a folder, or the small files of a hub's."""
    if folder_named(name) is not None:
        return find_folder(name)
    snapshot = _from_hub(hub_id(name), None, _DESCRIPTIONS)
    return snapshot, snapshot.name


def _is_table(snapshot: Path) -> bool:
    types = [str(entry.get("type")) for entry in read_json(snapshot / "modules.json") or []]
    return any(kind.endswith(_TABLES) for kind in types)


def _from_hub(name: str, revision: str | None, patterns: list[str]) -> Path:
    # Reading its library is a fifth of what a short command takes, and a folder needs none of it.
    from producer.hub import download

    return download(name, revision, patterns)
