"""What of this machine makes an embedded run slower than one may think, a line each. Reads; changes nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from producer.embedded.machine import Crew, gpu_count, needed_bytes, usable_cores, usable_memory
from schemas.spec import Dtype

_CPU = Path("/proc/cpuinfo")
#: The instructions that compute in bfloat16, as the kernel names them; without one it is imitated.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_tile", "amx_bf16", "bf16"})


def remarks(crew: Crew, *, device: str, wanted: int | None, weight_bytes: int, dtype: Dtype) -> Iterator[str]:
    """Of a run with this crew: numbers that the CPU only imitates, and cores that get no worker."""
    if device != "cpu" and gpu_count():
        return
    if dtype == "bfloat16" and not _computes_bfloat16():
        yield "warning: this CPU only imitates bfloat16, which is slower than float32: --dtype auto takes what suits"
    if wanted:
        return
    cores, all_cores = usable_cores(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if crew.workers < cores:
        free = decimal(usable_memory() or 0)
        yield (
            f"{crew.workers} worker(s) with {crew.threads} threads each on {cores} cores: {free} of memory are free, "
            f"and one needs {decimal(int(needed_bytes(weight_bytes)))}; --workers N decides otherwise"
        )
    elif cores < all_cores:
        yield f"{crew.workers} worker(s) on {all_cores} cores: the quota of this container allows no more"


def _computes_bfloat16() -> bool:
    """Also where the system does not say."""
    try:
        lines = _CPU.read_text().splitlines()
    except OSError:
        return True
    told = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not told or not _BFLOAT16.isdisjoint(told.split())
