"""A batch between its start on the device and its vectors on the host: launched, then collected.

Where launching waits for nothing, the device has the next batches to go on with while the host forms more of them and
hands out the vectors of earlier ones. On a CPU, launching computes and collecting gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from schemas.spec import Spec
from worker.engine import streams
from worker.engine.tokens import Ids, Offsets, Vectors

#: How many batches are launched before the first of them is collected. One keeps the device at work while the host
#: hands out vectors; two bear a host that is late now and then. Each more makes batches be formed earlier.
AHEAD = 2
#: By how much vectors may differ by the order in which their tokens are added up, relative to their lengths.
_TOLERANCE = 1e-3


class Launched(Protocol):
    """A batch on its way."""

    def collect(self) -> Vectors:
        """float32 [texts, dims], waiting for the device where it has to; raises what went wrong there."""


class Encodes(Protocol):
    """What the engine needs of an embedder."""

    @property
    def spec(self) -> Spec:
        """Whose fingerprint says which submissions may share a batch."""

    @property
    def padded(self) -> bool:
        """Whether a batch costs its longest text times its rows."""

    @property
    def token_budget(self) -> int:
        """How many tokens a batch should have."""

    @property
    def ahead(self) -> int:
        """How many batches may be launched before the first of them is collected; 0 where launching computes."""

    def launch(self, ids: Ids, offsets: Offsets) -> Launched:
        """Start a batch of texts that are not empty, those of equal length being neighbours."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that was computed when it was launched."""

    vectors: Vectors

    def collect(self) -> Vectors:
        """What there is."""
        return self.vectors


@dataclass(frozen=True, slots=True)
class _Flying:
    """A batch that a GPU computes."""

    landing: streams.Landing
    device: torch.device

    def collect(self) -> Vectors:
        with streams.blamed(self.device):
            return self.landing.vectors()


@dataclass(frozen=True, slots=True)
class Lane:
    """Which way batches go over a device, and why; with `ahead` above 0, launching one waits for nothing."""

    device: torch.device
    ahead: int = 0
    reason: str = ""

    def launch(self, forward: Callable[..., Tensor], ids: Ids, offsets: Offsets) -> Launched:
        """Start one batch: `forward` gives float32 [texts, dims] on the device."""
        with streams.blamed(self.device):
            if not self.ahead:
                return Done(forward(ids, offsets).cpu().numpy())
            return _Flying(streams.bring(forward(ids, offsets, at_once=True)), self.device)

    def describe(self) -> dict[str, str]:
        """Facts that a person asks for; none of a CPU, where there is nothing to decide."""
        if self.device.type == "cpu":
            return {}
        way = f"up to {self.ahead} launched ahead" if self.ahead else "one after the other"
        return {"lane": f"{way}; {self.reason}" if self.reason else way}


def decide_lane(device: torch.device, encode: Callable[[Lane], Vectors]) -> Lane:
    """The lane on which nothing waits, where a trial on this very device gives what the other one gives.

    `encode` sends the same few batches over a lane. Raises `torch.AcceleratorError` where the device is lost.
    """
    plain = Lane(device)
    if device.type != "cuda":
        return plain
    ahead = Lane(device, AHEAD, "equal to one after the other when tried")
    try:
        problem = _compare(encode(ahead), encode(plain))
    except torch.AcceleratorError:
        raise
    except Exception as cause:  # whatever of this machine's torch, driver or kernels does not bear it
        problem = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
    return Lane(device, reason=f"launching ahead is not usable: {problem}") if problem else ahead


def _compare(vectors: Vectors, twins: Vectors) -> str:
    difference = torch.from_numpy(vectors - twins).norm(dim=-1)
    worst = float((difference / torch.from_numpy(twins).norm(dim=-1).clamp(min=1e-9)).max())
    return "" if worst <= _TOLERANCE else f"vectors differ by {worst:.1e}"
