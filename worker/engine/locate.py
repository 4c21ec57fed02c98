"""Where a model's files are: a folder as it is, or a snapshot of a hub repository in the local cache.

Fetches only what decides vectors. Knows nothing of what is inside the files.
"""

from pathlib import Path

from huggingface_hub import HfApi, is_offline_mode, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from schemas.errors import ModelError
from schemas.model_name import folder_named, hub_id

_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.py", "*.jinja")
_ANY_WEIGHTS = ("*.safetensors", "*.bin")
#: Exports and checkpoints of other frameworks hold the same model once more.
_IGNORED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*", "training_args.bin", "optimizer.*")


def locate(model: str, revision: str | None = None) -> tuple[Path, str | None]:
    """The folder that holds the model's files, and its commit where it came from a hub."""
    folder = folder_named(model)
    return (folder, None) if folder is not None else _snapshot(hub_id(model), revision)


def _snapshot(name: str, revision: str | None) -> tuple[Path, str]:
    try:
        weights = _weight_patterns(name, revision)
        folder = snapshot_download(
            name, revision=revision, allow_patterns=[*_SMALL_FILES, *weights], ignore_patterns=list(_IGNORED)
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as cause:
        raise ModelError(
            f"{name} (revision {revision or 'main'}) is neither a folder here, nor in the local cache, "
            f"nor could it be fetched: {type(cause).__name__}",
            way_out="check the name and the network, or give a folder that holds the model",
        ) from cause
    return Path(folder), Path(folder).name


def _weight_patterns(name: str, revision: str | None) -> tuple[str, ...]:
    if is_offline_mode():
        return _ANY_WEIGHTS
    try:
        files = HfApi().list_repo_files(name, revision=revision)
    except Exception:
        # However the hub fails to answer, the cache is taken as it is, and what is not there the snapshot reports.
        return _ANY_WEIGHTS
    # Folder by folder: a network may come as safetensors while a Dense behind it never was saved again.
    safe = {file.rpartition("/")[0] for file in files if file.endswith(".safetensors")}
    pickled = (file for file in files if file.endswith(".bin") and file.rpartition("/")[0] not in safe)
    return ("*.safetensors", *pickled)
