"""What a model's name means: a folder, or a repository of the hub."""

import os
from pathlib import Path

from schemas.errors import ModelError


def folder_named(model: str) -> Path | None:
    """The folder of this name, or None where the name is a hub id; a ModelError where it can be neither."""
    folder = Path(os.path.expanduser(model))
    if os.path.isdir(folder):
        return folder.resolve()
    if os.path.exists(folder) or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelError(f"{model} is no folder", way_out="give a folder that holds a model, or a hub id like org/name")
    return None


def hub_id(model: str) -> str:
    """The full id: as in sentence-transformers, a name without an organisation is one of its own models."""
    return model if "/" in model else f"sentence-transformers/{model}"
