"""What of this machine a process may use, and how many workers that bears. A container's limits count."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")
#: A worker without its weights: interpreter, torch, transformers, the jobs in flight and a table of words. Measured:
#: docs/scaling.md.
WORKER_BYTES = 900 * 2**20
#: A model's weights while they are loaded and laid out anew, as a multiple of their files.
_WEIGHT_COPIES = 2.0
#: The producer, Redis and the page cache need some, too.
_SHARE_FOR_WORKERS = 0.8


class Crew(NamedTuple):
    """So many workers, with so many CPU threads each."""

    workers: int
    threads: int


def crew_here(*, device: str, wanted: int | None, weight_bytes: int) -> Crew:
    """The workers for this machine: as many as `wanted`, else one per GPU, else what `fitting` says.

    `weight_bytes`: the size of the files of the model's weights, 0 if unknown.
    """
    gpus = gpu_count() if device != "cpu" else 0
    cores = usable_cores()
    if wanted or gpus:
        count = wanted or gpus
        # A worker with a GPU needs its share of the cores to tokenize; on a CPU one thread each is fastest.
        return Crew(count, max(1, cores // count) if gpus else 1)
    return fitting(cores, usable_memory(), weight_bytes)


def gpus_for(device: str) -> int:
    """How many GPUs workers of this device have to share the machine's cores; 0 for a CPU.

    One that was asked for by name is there, also where the driver has no file that says so.
    """
    if device == "cpu":
        return 0
    return max(1, gpu_count()) if device.startswith("cuda") else gpu_count()


def threads_for(device: str) -> int:
    """CPU threads of one worker: with a GPU its share of the cores, to tokenize; on a CPU one is fastest."""
    gpus = gpus_for(device)
    return max(1, usable_cores() // gpus) if gpus else 1


def fitting(cores: int, memory_bytes: int | None, weight_bytes: int) -> Crew:
    """One worker per core, as many as fit in memory; cores that are left over become threads of those.

    `memory_bytes` None: unknown, so it bounds nothing.
    """
    if memory_bytes is None:
        return Crew(cores, 1)
    workers = max(1, min(cores, int(memory_bytes * _SHARE_FOR_WORKERS / needed_bytes(weight_bytes))))
    return Crew(workers, cores // workers)


def needed_bytes(weight_bytes: int) -> float:
    """The memory that one worker needs."""
    return WORKER_BYTES + _WEIGHT_COPIES * weight_bytes


def usable_cores() -> int:
    """The cores that this process may run on, and has time for by its container's quota; at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(int(quota) for quota in _cpu_quotas())]))


def usable_memory() -> int | None:
    """Bytes that are free now, and within the container's limit; None where the system does not say."""
    bounds = [value for value in (_available(), *_memory_left()) if value is not None]
    return min(bounds, default=None)


def gpu_count() -> int:
    """NVIDIA GPUs of this machine, asked of the driver's own files: the producer has no torch."""
    return sum(1 for _ in Path("/proc/driver/nvidia/gpus").glob("*"))


def _cpu_quotas() -> Iterator[float]:
    """Quotas in cores: of cgroups version 2, then of version 1."""
    for place in _places("", "cpu.max"):
        quota, _, period = place.read_text().partition(" ")
        if quota != "max":
            yield int(quota) / int(period)
    for place in _places("cpu", "cpu.cfs_quota_us"):
        quota_us, period_us = _number(place), _number(place.with_name("cpu.cfs_period_us"))
        if quota_us is not None and period_us and quota_us > 0:
            yield quota_us / period_us


def _memory_left() -> Iterator[int]:
    for controller, most, used, cached in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for place in _places(controller, most):
            limit = _number(place)
            if limit is not None:
                # Cached files are given up when memory is asked for.
                held = (_number(place.with_name(used)) or 0) - _fact(place.with_name("memory.stat"), cached)
                yield max(0, limit - held)


def _places(controller: str, name: str) -> Iterator[Path]:
    """The files of that name in this process's cgroup and those around it; `controller` "" is version 2."""
    for line in _read(_OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            root = _CGROUPS / controller
            inner = root / path.lstrip("/")
            for folder in (inner, *inner.parents):
                if folder.is_relative_to(root) and (folder / name).is_file():
                    yield folder / name


def _available() -> int | None:
    return _fact(_MEMORY, "MemAvailable:") * 1024 or None


def _fact(place: Path, name: str) -> int:
    """The number behind a name in a file of such lines; 0 where there is none."""
    for line in _read(place).splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    return 0


def _number(place: Path) -> int | None:
    """What the file says; None where it says "max" or nothing."""
    text = _read(place).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read(place: Path) -> str:
    try:
        return place.read_text()
    except OSError:
        return ""
