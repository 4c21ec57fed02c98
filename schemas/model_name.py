"""What a model's name means: a folder, or a repository of the hub."""

from pathlib import Path

from schemas.errors import ModelError
from schemas.nearest import meant


def folder_named(model: str) -> Path | None:
    """The folder of this name, or None where the name is a hub id; a ModelError where it can be neither."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists() or model.startswith((".", "/", "~")) or model.count("/") > 1:
        beside = [one.name for one in folder.parent.glob("*") if one.is_dir()]
        raise ModelError(
            f"{model} is no folder",
            way_out=meant(folder.name, beside, "give a folder that holds a model, or a hub id like org/name"),
        )
    return None


def hub_id(model: str) -> str:
    """The full id: as in sentence-transformers, a name without an organisation is one of its own models."""
    return model if "/" in model else f"sentence-transformers/{model}"
