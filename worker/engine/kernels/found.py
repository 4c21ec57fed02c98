"""Whether this process has kernels, decided once, by trying them; and why not."""

import platform
from functools import cache
from pathlib import Path

import torch
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from worker.engine.build import NotBuilt, built
from worker.engine.kernels.calls import Kernels

_SOURCES = sorted(Path(__file__).parent.glob("*.[ch]"))
#: Levels to a unit of a weight.
_LEVELS = 40

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
#: Of products, relative to the greatest; of int8, two layers' levels.
_PRODUCTS = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.int8: 3e-2}


def kernels() -> Kernels | None:
    """The kernels, where this process computes with one thread, as they do."""
    return _found()[0] if torch.get_num_threads() == 1 else None


def why_none() -> str:
    """Why there are none, in words; nothing where there are some."""
    if torch.get_num_threads() != 1:
        return "ours compute with one thread, and this process with several"
    return _found()[1]


@cache
def _found() -> tuple[Kernels | None, str]:
    if platform.machine() != "x86_64" or torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return None, "ours are for AVX2 and AVX-512, and this CPU has neither"
    try:
        made = Kernels(built("kernels", _SOURCES))
        problem = _problem(made)
    except (NotBuilt, OSError) as cause:
        return None, str(cause)
    return (None, f"{problem} came out wrong when tried") if problem else (made, "")


@torch.inference_mode()
def _problem(made: Kernels) -> str:
    """Which of them does not give what torch gives; on sizes that fill no vector."""
    generator = torch.Generator().manual_seed(0)
    for dtype, tolerance in _PRODUCTS.items():
        if made.multiplies(dtype) and _products_apart(made, dtype, generator) > tolerance:
            return f"products in {dtype}"
    for dtype in (torch.float32, torch.bfloat16):
        # 11 tokens twice, and one of 3; as networks hand them over, with two axes swapped.
        states = [torch.randn(1, 25, 2, 48, generator=generator).to(dtype).transpose(1, 2) for _ in range(3)]
        runs = [(0, 2, 11), (22, 1, 3)]
        if not made.bears(states, 11):
            continue
        output = made.attention(states, runs, 0.2).transpose(0, 1)
        for first, last in ((0, 11), (11, 22), (22, 25)):
            q, k, v = (part[0, :, first:last].float() for part in states)
            alone = scaled_dot_product_attention(q, k, v, scale=0.2)
            if (output[:, first:last].float() - alone).abs().max() > _TOLERANCE[dtype]:
                return f"attention in {dtype}"
    return ""


def _products_apart(made: Kernels, dtype: torch.dtype, generator: torch.Generator) -> float:
    """By how much two layers and GELU are off; more than one tile, none of them full."""
    kind = torch.float32 if dtype == torch.int8 else dtype
    layers, wanted = [], torch.randn(7, 38, generator=generator).to(kind)
    states = wanted
    for outputs, inputs in ((70, 38), (9, 70)):
        weight, bias = torch.randn(outputs, inputs, generator=generator), torch.randn(outputs, generator=generator)
        weight = (weight * _LEVELS).round().clamp(-127, 127) if dtype == torch.int8 else weight.to(kind)
        scales = torch.full((outputs,), 1 / _LEVELS) if dtype == torch.int8 else None
        layers.append(made.layer(weight.to(dtype), bias.to(kind), scales))
        wanted = linear(wanted.double(), weight.double() * (1 if scales is None else scales[0]), bias.double())
        wanted = gelu(wanted) if len(layers) == 1 else wanted
    output = made.linear(layers, states)
    return float((output - wanted).abs().max() / wanted.abs().max())
