"""What a model's name means: a folder, or a repository of the hub."""

import os
from pathlib import Path

from schemas.errors import ModelError
from schemas.nearest import meant


def folder_named(model: str) -> Path | None:
    """The folder of this name, or None where the name is a hub id; a ModelError where it can be neither."""
    folder = Path(os.path.expanduser(model))
    if os.path.isdir(folder):
        return folder.resolve()
    if os.path.exists(folder) or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelError(
            f"{model} is no folder",
            way_out=meant(folder.name, _beside(folder), "give a folder that holds a model, or a hub id like org/name"),
        )
    return None


def _beside(folder: Path) -> list[str]:
    try:
        return [one.name for one in folder.parent.iterdir() if one.is_dir()]
    except (OSError, ValueError):  # no such place, or no name of one
        return []


def hub_id(model: str) -> str:
    """The full id: as in sentence-transformers, a name without an organisation is one of its own models."""
    return model if "/" in model else f"sentence-transformers/{model}"
