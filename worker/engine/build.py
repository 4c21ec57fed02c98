"""From sources in C to a shared library for this very CPU, in the user's own cache.

The library is code that the process runs: one that somebody else could have written is not taken.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: A sum of products is rounded as it is written, and what is not finite stays so.
_FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fno-strict-aliasing", "-shared", "-fPIC",
)  # fmt: skip
_SECONDS = 120


class NotBuilt(Exception):
    """There is no library; the words say why."""


def built(name: str, sources: Sequence[Path]) -> Path:
    """The library made of some sources and headers, compiled now where it is not there yet. Raises `NotBuilt`."""
    compiler = _compiler()
    library = _cache() / f"{name}-{_fingerprint(compiler, sources)}.so"
    if not library.exists():
        _compile(compiler, library, sources)
    if not _own(library):
        raise NotBuilt(f"{library} could have been written by somebody else")
    return library


def _compiler() -> str:
    """`CC`, as for other programs that compile (empty: none), else the system's."""
    wanted = os.environ.get("CC")
    names = ("cc", "gcc", "clang") if wanted is None else (wanted,)
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise NotBuilt("no C compiler is installed" if wanted is None else f"CC={wanted} is no compiler")
    return found


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(root) / "vecmill"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        raise NotBuilt(f"{folder} cannot be made: {cause.strerror}") from cause
    if not _own(folder):
        raise NotBuilt(f"others may write into {folder}")
    return folder


def _own(path: Path) -> bool:
    """Whether nobody but this user (or root) can have written there."""
    found = path.stat()
    return found.st_uid in (0, os.getuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _fingerprint(compiler: str, sources: Sequence[Path]) -> str:
    """Of all that decides what comes out: source, flags, compiler, and the CPU, since hosts may share a cache."""
    processor = Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    contents = [source.read_bytes() for source in sources]
    parts = [*contents, " ".join(_FLAGS).encode(), os.path.realpath(compiler).encode(), flags.encode()]
    return hashlib.blake2b(b"\0".join(parts), digest_size=10).hexdigest()


def _compile(compiler: str, library: Path, sources: Sequence[Path]) -> None:
    """Several processes may do this at once; each renames a whole file."""
    try:
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / library.name
            subprocess.run(
                [compiler, *_FLAGS, "-o", str(made), *(str(source) for source in sources if source.suffix == ".c")],
                check=True, capture_output=True, text=True, timeout=_SECONDS,
            )  # fmt: skip
            made.chmod(0o500)
            made.replace(library)
    except subprocess.CalledProcessError as cause:
        said = next(
            (line for line in cause.stderr.splitlines() if "error" in line), f"it ended with {cause.returncode}"
        )
        raise NotBuilt(f"{compiler} could not compile them: {said[:200]}") from cause
    except subprocess.TimeoutExpired as cause:
        raise NotBuilt(f"{compiler} took more than {_SECONDS} s") from cause
    except OSError as cause:
        raise NotBuilt(f"{library.parent} cannot be written to: {cause.strerror}") from cause
