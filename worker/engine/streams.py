"""The one door to what a GPU does beside its computing: copies to and fro, the host's waits for them, its memory.

Nothing here waits for the device but `Landing.vectors` and `check_alive`. Host memory comes pinned from torch's own
cache of it, which gives a block out again only when the copies from and to it are done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.tokens import Vectors

#: cudaErrorMemoryAllocation.
_NO_MEMORY = 2


def put(array: "np.ndarray[Any, Any]", device: torch.device) -> Tensor:
    """A host array on the device; on a GPU its copy runs beside the computing, and nobody waits for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return _upload(tensor, device) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True, slots=True)
class Landing:
    """Vectors on their way back to the host."""

    host: Tensor
    landed: Any

    def vectors(self) -> Vectors:
        """float32 [texts, dims], once they are there; raises what went wrong on the device meanwhile."""
        self.landed.synchronize()
        vectors: Vectors = self.host.numpy()
        return vectors


def bring(vectors: Tensor) -> Landing:
    """Start the one copy of a batch back to the host, behind all that computes it."""
    device = vectors.device
    side = _side(device, "back")
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        host = torch.empty(vectors.shape, dtype=torch.float32, pin_memory=True)
        host.copy_(vectors, non_blocking=True)
        vectors.record_stream(side)
        # Blocking: a thread that spins would take a core from the tokenizers.
        landed = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        landed.record(side)
    return Landing(host, landed)


@contextmanager
def blamed(device: torch.device) -> Iterator[None]:
    """Raise `AcceleratorError` where the block fails because the device is lost, whatever a library calls that."""
    try:
        yield
    except (torch.AcceleratorError, torch.OutOfMemoryError):
        raise
    except Exception:
        check_alive(device)
        raise


def check_alive(device: torch.device) -> None:
    """Raise `AcceleratorError` where the device no longer computes: CUDA repeats such an error at every call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def is_out_of_memory(cause: Exception) -> bool:
    """Whether the device had no memory left, which passes; CUDA's own calls have another error for it than torch."""
    if isinstance(cause, torch.AcceleratorError):
        return getattr(cause, "error_code", None) == _NO_MEMORY
    return isinstance(cause, torch.OutOfMemoryError)


def free_share(device: torch.device) -> float:
    """How much of the device's memory nobody holds, 0 to 1; what torch keeps for later counts as held."""
    free, total = torch.cuda.mem_get_info(device)
    return free / total


def _upload(tensor: Tensor, device: torch.device) -> Tensor:
    side, computing = _side(device, "to"), torch.cuda.current_stream(device)
    with torch.cuda.stream(side):
        there = tensor.pin_memory().to(device, non_blocking=True)
    computing.wait_stream(side)
    there.record_stream(computing)
    return there


@cache
def _side(device: torch.device, way: str) -> Any:
    """One stream for each direction: copies in both at once do not wait for each other."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
