"""What one core can multiply at most: products of the size of all-MiniLM-L6-v2's widest layer, and nothing else.

    python -m benchmarks.products

[2048, 384] x [384, 1536] in float32, bfloat16 and int8, each by every kernel that torch or Vecmill has for it, with
weights laid out beforehand where it can be; medians, the best kernel counts. The last line of stdout is one JSON
object.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from benchmarks import machine
from worker.engine.int8 import Int8Linear
from worker.engine.kernels import kernels

ROWS, INNER, OUTER = 2048, 384, 1536
_TURNS, _WARM = 40, 5


def main() -> None:
    machine.one_core()
    torch.set_num_threads(1)
    print(json.dumps({"gflops": peaks()} | machine.facts()))


def peaks() -> dict[str, float]:
    """GFLOP/s (int8: GOP/s) of the best kernel of each precision."""
    return {name: max(map(speed, kernels)) for name, kernels in _kernels().items()}


def speed(product: Callable[[], Any]) -> float:
    """The median; 0 for a kernel that this CPU or this torch has not."""
    try:
        seconds = [_timed(product) for _ in range(_WARM + _TURNS)][_WARM:]
    except (RuntimeError, AttributeError, NotImplementedError):
        return 0.0
    return round(2 * ROWS * INNER * OUTER / statistics.median(seconds) / 1e9, 1)


def _timed(product: Callable[[], Any]) -> float:
    began = time.thread_time()
    product()
    return time.thread_time() - began


def _kernels() -> dict[str, list[Callable[[], Any]]]:
    torch.manual_seed(0)
    states, weight = torch.randn(ROWS, INNER), torch.randn(OUTER, INNER)
    few, levels = (torch.randint(-63, 64, tensor.shape, dtype=torch.int8) for tensor in (states, weight))
    return {
        "float32": [way(states, weight) for way in (plain, laid_out, ours)],
        "bfloat16": [way(states.bfloat16(), weight.bfloat16()) for way in (plain, laid_out, ours)],
        "int8": [
            lambda: torch._int_mm(few, levels.T),
            bytes_laid_out(states, levels.float()),
            ours(states, levels, torch.ones(OUTER)),
        ],
    }


def plain(states: torch.Tensor, weight: torch.Tensor) -> Callable[[], Any]:
    """As torch does it by itself."""
    return lambda: torch.nn.functional.linear(states, weight)


def laid_out(states: torch.Tensor, weight: torch.Tensor) -> Callable[[], Any]:
    """With the weight in oneDNN's own layout."""

    def product() -> Any:
        nonlocal weight
        if not weight.is_mkldnn:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        return torch.ops.mkldnn._linear_pointwise(states, weight, None, "none", [], "")

    return product


def bytes_laid_out(states: torch.Tensor, weight: torch.Tensor) -> Callable[[], Any]:
    """By oneDNN, as the worker uses it without kernels; integers are made of the states first."""
    linear = torch.nn.Linear(INNER, OUTER, bias=False)
    linear.weight.data = weight
    layer = cache(lambda: Int8Linear(linear))  # made in the first turn: where this torch cannot, that is no speed
    return lambda: layer()(states)


def ours(states: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor | None = None) -> Callable[[], Any]:
    """By the worker's own kernels; those of integers make integers of the states first."""
    own = kernels()
    layer = own.layer(weight, None, scales) if own is not None and own.multiplies(weight.dtype) else None

    def product() -> Any:
        if own is None or layer is None:
            raise NotImplementedError
        return own.linear((layer,), states)

    return product


if __name__ == "__main__":
    main()
