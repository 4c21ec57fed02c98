"""Models of the Hugging Face hub: their small files, from the local cache or the hub; which of them the cache has."""

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
from schemas.nearest import meant


def snapshot(name: str, revision: str | None) -> Path | None:
    """The folder of what the cache has of a model, if that is anything."""
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None


def download(name: str, revision: str | None, patterns: list[str]) -> Path:
    """The folder of a model's files of these patterns; a `ModelError` where neither cache nor hub has them."""
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
