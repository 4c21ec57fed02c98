"""The files of a model folder: reading their JSON, and the identity of those that decide vectors.

Knows no key of any file; what the keys mean is in the modules that read them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import ModelError, VecmillError
from schemas.special_file import special

#: Which files of a folder decide vectors. Exports (onnx, openvino) lie in folders of their own, which no module names.
_DECIDING = ("*.json", "*.txt", "*.model", "*.safetensors", "*.py")
#: Read only where there is no safetensors file beside it, as when loading.
_FALLBACK_WEIGHTS = ("pytorch_model*.bin", "adapter_model.bin")
#: What never decides vectors, even where a model's own code may read any file.
_IDLE = (".*", "*.md", "LICENSE*")


@contextmanager
def understood(folder: Path) -> Iterator[None]:
    """For those who read what the files say: a value that cannot be meant is the model's fault, whatever it breaks."""
    try:
        yield
    except VecmillError:
        raise
    except Exception as cause:
        raise ModelError(
            f"the files of {folder} do not say what a model's files say ({type(cause).__name__}: {cause})",
            way_out="fetch the model again",
        ) from cause


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is no such file."""
    try:
        return json.loads(read_words(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as cause:
        raise ModelError(f"{path} cannot be read as JSON: {cause}", way_out="fetch the model again") from cause
    except RecursionError:
        raise ModelError(f"{path} is nested too deep", way_out="fetch the model again") from None


def read_words(path: Path) -> str:
    """The text of a file of a model; raises `OSError` or `ValueError` where there is none to read."""
    check_file(path)
    return path.read_text(encoding="utf-8")


def check_file(path: Path) -> None:
    """Refuse what would keep its reader waiting."""
    if found := special(path):
        raise ModelError(f"{path} is {found}, not a file", way_out="fetch the model again")


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds one object; {} where there is no such file."""
    content = read_json(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, not an object", way_out="fetch the model again")
    return content


def identity(folder: Path, commit: str | None, module_paths: Iterable[str], *, every: bool = False) -> str:
    """What the files of a model are known by: their commit where they came from a hub, else what is in them."""
    return f"hub:{commit}" if commit else content_of(folder, module_paths, every=every)


def content_of(folder: Path, module_paths: Iterable[str], *, every: bool = False) -> str:
    """`files:<hash>` over the names and bytes of the files that decide vectors: the root's and the modules' own.

    `every`: all files may decide, since code of the model's own may read any of them.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(_deciding_files(folder, module_paths, _every_in if every else _deciding_in)):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        digest.update(f"{path.relative_to(folder).as_posix()}\0{inner.hexdigest()}\0".encode())
    return f"files:{digest.hexdigest()}"


def _deciding_files(folder: Path, module_paths: Iterable[str], files_in: Callable[[Path], Iterator[Path]]) -> set[Path]:
    places = [folder]
    for name in module_paths:
        if name not in ("", "."):
            inner = folder / name
            places += [inner, *(path for path in inner.rglob("*") if path.is_dir())]
    for place in places:
        # Those that load the model may open any of them.
        for path in place.glob("*"):
            check_file(path)
    return {path for place in places for path in files_in(place)}


def _deciding_in(place: Path) -> Iterator[Path]:
    patterns = _DECIDING if any(place.glob("*.safetensors")) else _DECIDING + _FALLBACK_WEIGHTS
    for pattern in patterns:
        yield from (path for path in place.glob(pattern) if path.is_file())


def _every_in(place: Path) -> Iterator[Path]:
    if place.name != "__pycache__":
        yield from (path for path in place.glob("*") if path.is_file() and not any(map(path.match, _IDLE)))
