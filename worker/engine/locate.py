"""Where a model's files are: a folder as it is, or a snapshot of a hub repository in the local cache.

Fetches only what decides vectors. Knows nothing of what is inside the files.
"""

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from schemas.errors import ModelError

_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.py", "*.jinja")
#: Exports and checkpoints of other frameworks hold the same model once more.
_IGNORED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*", "training_args.bin", "optimizer.*")


def locate(model: str, revision: str | None = None) -> tuple[Path, str | None]:
    """The folder that holds the model's files, and its commit where it came from a hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve(), None
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelError(f"{model} is no folder", way_out="give a folder that holds a model, or a hub id like org/name")
    return _snapshot(model, revision)


def _snapshot(model: str, revision: str | None) -> tuple[Path, str]:
    # As in sentence-transformers, a name without an organisation is one of its own models.
    name = model if "/" in model else f"sentence-transformers/{model}"
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
    try:
        files = HfApi().list_repo_files(name, revision=revision)
    except (HfHubHTTPError, OSError):
        # Offline the cache is taken as it is: a repository that is not there is reported by the snapshot itself.
        return ("*.safetensors", "*.bin")
    return ("*.safetensors",) if any(file.endswith(".safetensors") for file in files) else ("*.bin",)
