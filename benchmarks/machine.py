"""Where and when a number was measured: processor, versions, commit, date."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

#: What decides how fast a CPU multiplies matrices.
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_LIBRARIES = (
    "vecmill",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "celery",
    "pyarrow",
    "deltalake",
)


def facts() -> dict[str, Any]:
    """All of it, for the JSON line of a benchmark."""
    cpu = _cpu()
    flags = set(cpu.get("flags", "").split())
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "cpu": cpu.get("model name", platform.processor()),
        "cpu_family_model": f"{cpu.get('cpu family', '?')}/{cpu.get('model', '?')}",
        "cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "missing_flags": [flag for flag in _FLAGS if flag not in flags],
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _LIBRARIES},
    }


def one_core() -> int:
    """Bind this process, and so all that it starts, to the last of its cores, one thread each; returns which."""
    (core,) = last_cores(1)
    os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    return core


@contextmanager
def elsewhere() -> Iterator[None]:
    """What is started inside runs on the cores that this thread is not bound to, where there are any."""
    mine, all_ = os.sched_getaffinity(0), set(range(os.cpu_count() or 1))
    os.sched_setaffinity(0, all_ - mine or mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def last_cores(number: int) -> list[int]:
    """Bind this process, and so all that it starts, to so many of its cores; returns which."""
    there = sorted(os.sched_getaffinity(0))
    if number > len(there):
        raise SystemExit(f"{number} cores are asked for, and {len(there)} are there")
    os.sched_setaffinity(0, there[-number:])
    return there[-number:]


def _cpu() -> dict[str, str]:
    """The first processor of /proc/cpuinfo."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
