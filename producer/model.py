"""Finds the small files of a model and resolves them to a spec, before anything is enqueued. Loads no weights."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from schemas.errors import ModelError
from schemas.model_adapter import find_folder
from schemas.model_files import read_json
from schemas.model_folder import resolve
from schemas.model_name import folder_named, hub_id
from schemas.nearest import meant
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
    snapshot = _download(name, options.revision, _DESCRIPTIONS)
    if _is_table(snapshot):
        snapshot = _download(name, options.revision, [*_DESCRIPTIONS, "*.safetensors"])
    return resolve(snapshot, options.model_copy(update={"model": name}), revision=snapshot.name, find=_find)


def model_folder(spec: Spec) -> Path:
    """Where the small files of a model are that was resolved before."""
    return folder_named(spec.model) or _download(spec.model, spec.revision, _DESCRIPTIONS)


def weight_bytes(spec: Spec) -> int:
    """The size of a model's weight files, its base's included, as far as they are on this machine; 0 where none is."""
    models = [(spec.model, spec.revision), *([(spec.base, spec.base_revision)] if spec.base else [])]
    return sum(_weights_in(folder_named(name) or _snapshot(name, revision)) for name, revision in models)


def _weights_in(folder: Path | None) -> int:
    if folder is None:
        return 0
    found = next((some for kind in _WEIGHTS if (some := [*folder.rglob(kind)])), [])
    return sum(path.stat().st_size for path in found)


def _snapshot(name: str, revision: str | None) -> Path | None:
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None


def _find(name: str) -> tuple[Path, str | None]:
    """The base model of an adapter: a folder, or the small files of a hub's."""
    if folder_named(name) is not None:
        return find_folder(name)
    snapshot = _download(hub_id(name), None, _DESCRIPTIONS)
    return snapshot, snapshot.name


def _is_table(snapshot: Path) -> bool:
    types = [str(entry.get("type")) for entry in read_json(snapshot / "modules.json") or []]
    return any(kind.endswith(_TABLES) for kind in types)


def _download(name: str, revision: str | None, patterns: list[str]) -> Path:
    try:
        path = snapshot_download(name, revision=revision, allow_patterns=patterns)
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no model {name!r}, or it is private", way_out="check the name, or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"the model {name!r} has no revision {revision!r}", way_out="a branch, tag or commit of it, or leave it out"
        ) from error
    except ValueError as error:
        raise ModelError(
            f"{name!r} is no folder here, and no name that the hub could have",
            way_out="a folder, or org/name of the hub",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise _out_of_reach(name) from error
    return Path(path)


def _out_of_reach(name: str) -> ModelError:
    silent = "HF_HUB_OFFLINE forbids asking the hub" if HF_HUB_OFFLINE else "the hub does not answer"
    return ModelError(
        f"the model {name!r} is neither a folder here nor in the local cache, and {silent}",
        way_out=meant(name, _cached(), "name a folder, or connect to the hub once so that the cache holds it"),
    )


def _cached() -> Iterator[str]:
    """The models that are in the local cache."""
    for folder in Path(HF_HUB_CACHE).glob("models--*"):
        yield folder.name.removeprefix("models--").replace("--", "/")
