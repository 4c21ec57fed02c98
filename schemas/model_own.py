"""Modules of a model's own code: classes in a file of its folder, which modules.json names like `mine.Head`.

Their kind is that name. Knows where the code must lie, whether it may run, and how wide its vectors are said to be;
runs none of it. Whether it was told the truth, the worker finds out when it has loaded the class.
"""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_object
from schemas.model_transformer import transformer_config
from schemas.spec import Module, Task

_WIDTH = "width"
#: What a module that comes next takes, as its configuration says.
_TAKES = ("in_features", "dimension")


def is_own(kind: str) -> bool:
    """Whether a kind is a class of the model's own: all others are names without a dot."""
    return "." in kind


def has_own(modules: tuple[Module, ...]) -> bool:
    """Whether any module is one of the model's own."""
    return any(is_own(module.kind) for module in modules)


def own_module(entry: dict[str, Any], path: str, task: Task | None, warnings: list[str]) -> Module:
    """An entry of modules.json whose type is no class of sentence-transformers."""
    repository, _, name = str(entry["type"]).rpartition("--")
    if repository:
        warnings.append(f"{name} comes from {repository}, whatever is there now: no fingerprint covers it")
    # What its code does with a task nobody can know, so a task always counts.
    said = {"kwargs": list(entry.get("kwargs") or ()), "task": task, _WIDTH: entry.get(_WIDTH)}
    return Module(kind=str(entry["type"]), path=path, config={key: value for key, value in said.items() if value})


def check_own(folder: Path, modules: tuple[Module, ...], *, trusted: bool) -> None:
    """Refuse a model's own classes where nobody allowed them, and those that lie in no file of its folder."""
    for module in modules:
        if is_own(module.kind):
            check_trusted(module, trusted=trusted)
            _check_place(folder, module.kind)


def check_trusted(module: Module, *, trusted: bool) -> None:
    """Refuse a class of the model's own where nobody allowed it."""
    if not trusted:
        raise ModelError(
            f"module {module.kind} is code of the model's own, which was not trusted",
            way_out="read that code, then allow it with --trust-remote-code",
        )


def _check_place(folder: Path, kind: str) -> None:
    repository, _, name = kind.rpartition("--")
    file = name.partition(".")[0] + ".py"
    if not repository and (name.count(".") != 1 or not (folder / file).is_file()):
        raise ModelError(
            f"module {kind} is code of the model's own, but no class in a file of {folder}",
            way_out=f"put {file} into that folder; code that lies elsewhere is covered by no fingerprint",
        )


def own_length(place: Path, module: Module, asked: int | None) -> int | None:
    """The length that the files of a first module name; its code alone decides, so another cannot be asked for."""
    if asked is not None:
        raise ModelError(
            f"--max-tokens {asked}: {module.kind} cuts texts by its own code",
            way_out="leave --max-tokens out, or set max_seq_length in its configuration",
        )
    said = transformer_config(place).get("max_seq_length")
    return said if isinstance(said, int) else None


def own_width(folder: Path, modules: tuple[Module, ...], number: int, before: int | None) -> int:
    """How wide the vectors behind module `number` are: what it says, else what the next one takes, else as before."""
    module, behind = modules[number], modules[number + 1 : number + 2]
    config = read_object(folder / module.path / "config.json")
    said = [module.config.get(_WIDTH), config.get("out_features")]
    said += [following.config.get(key) for following in behind for key in _TAKES]
    said += [before, config.get("hidden_size")]
    for following in behind:
        pooling = read_object(folder / following.path / "config.json")
        said += [pooling.get("embedding_dimension"), pooling.get("word_embedding_dimension")]
    width = next((value for value in said if isinstance(value, int) and value > 0), None)
    if width is None:
        raise ModelError(
            f"how wide the vectors of {module.kind} are is not said", way_out=width_way_out(module, "the number")
        )
    return width


def width_way_out(module: Module, width: object) -> str:
    """How a model's files say the width of a module that has no other place for it."""
    return f'add "{_WIDTH}": {width} to the entry {module.kind} of modules.json'
