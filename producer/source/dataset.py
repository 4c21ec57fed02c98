"""`hf://datasets/NAME/CONFIG/SPLIT`: what `datasets.load_dataset` has left in its cache on this disk. Asks no hub.

The cache is a folder per dataset, configuration, version and hash: `squad/plain_text/0.0.0/7b6d/squad-train.arrow`, and
`ORG___NAME` for those of an organization. Configuration and split may be left out where there is one, or all are meant.
"""

import os
import re
from pathlib import Path

from huggingface_hub.constants import HF_HOME

from schemas.errors import SourceError
from schemas.nearest import meant

SCHEME = "hf://datasets/"
_NOTE = "dataset_info.json"


def is_dataset(path: str) -> bool:
    """Whether a source is named so."""
    return path.startswith(SCHEME)


def arrow_files(path: str) -> list[str]:
    """The files that a name means, of the newest that the cache has of it; a `SourceError` where it has none."""
    folder, rest = _dataset(path)
    config, split = _config_and_split(path, folder, rest)
    made = [note.parent for note in (folder / config).glob(f"*/*/{_NOTE}")]
    if not made:
        raise _none(path, f"{folder / config} holds no finished dataset")
    newest = max(made, key=lambda one: one.stat().st_mtime)
    found = {name: found for name in os.listdir(newest) if (found := _SPLIT_FILE.fullmatch(name))}
    names = sorted(name for name, parts in found.items() if split in (None, parts[1]))
    if not names:
        splits = sorted({parts[1] for parts in found.values()})
        raise SourceError(f"{path}: there is no split {split}", way_out=meant(str(split), splits, _one_of(splits)))
    return [str(newest / name) for name in names]


_SPLIT_FILE = re.compile(r"(?!cache-).*?-(\w+(?:\.\w+)*)(?:-\d{5}-of-\d{5})?\.arrow")


def _dataset(path: str) -> tuple[Path, list[str]]:
    """The folder of a dataset, and what of the path is behind its name."""
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or os.path.join(HF_HOME, "datasets")).expanduser()
    parts = path.removeprefix(SCHEME).strip("/").split("/")
    for length in range(min(2, len(parts)), 0, -1):
        folder = cache / "___".join([*parts[: length - 1], _snake(parts[length - 1])])
        if not {"", ".", ".."} & set(parts) and folder.is_dir():
            return folder, parts[length:]
    raise _none(path, f"the cache of datasets, {cache}, does not have it")


def _config_and_split(path: str, folder: Path, rest: list[str]) -> tuple[str, str | None]:
    configs = sorted(one.name for one in folder.iterdir() if one.is_dir())
    if rest and rest[0] in configs:
        config, rest = rest[0], rest[1:]
    elif len(configs) == 1 and len(rest) < 2:
        config = configs[0]
    else:
        raise SourceError(
            f"{path}: which configuration of {folder.name}? In the cache are {', '.join(configs) or 'none'}",
            way_out=f"{SCHEME}{folder.name.replace('___', '/')}/CONFIG/SPLIT",
        )
    if len(rest) > 1:
        raise SourceError(f"{path} has more parts than a name, a configuration and a split", way_out="leave some out")
    return config, rest[0] if rest else None


def _none(path: str, why: str) -> SourceError:
    name = "/".join(path.removeprefix(SCHEME).strip("/").split("/")[:2])
    return SourceError(
        f"cannot read {path}: {why}",
        way_out=f"datasets.load_dataset({name!r}) in Python puts it there; HF_DATASETS_CACHE says where it is",
    )


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names)}" if names else "check the cache"


def _snake(name: str) -> str:
    """As `datasets` spells names: SQuAD_v2 is in `s_qu_ad_v2`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", name).lower()
