"""Which device and which number format a model runs in."""

import time
from functools import cache

import torch
from torch import nn

from schemas.errors import ModelError
from worker.engine.packed_linear import PackedLinear

#: int8 is of linear layers only, and is put in once a network is loaded.
_DTYPES = {"int8": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
#: Rows, and in and out, of the product that two formats are compared by; it takes a core 1 to 4 ms.
_ROWS, _IN, _OUT, _TURNS = 256, 384, 1536, 7


def pick_device(wanted: str) -> torch.device:
    """`auto` is a GPU where there is one; a device that is not there is an error."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as cause:
        raise ModelError(f"device {wanted} cannot be used: {cause}", way_out="--device cpu") from cause
    return device


def device_name(device: torch.device) -> str:
    """What its maker calls a GPU; of a CPU, the widest instructions that it has."""
    return str(torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability())


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device is faster in it, else float32."""
    if wanted == "int8" and device.type != "cpu":
        raise ModelError(f"int8 computes on a CPU only, not on {device}", way_out="--device cpu, or --dtype bfloat16")
    if wanted != "auto":
        return _DTYPES[wanted]
    return torch.bfloat16 if gains_by_bfloat16(device) else torch.float32


def gains_by_bfloat16(device: torch.device) -> bool:
    """Whether the device is faster in bfloat16; a GPU is where it computes in it, a CPU where it is when tried."""
    return computes_bfloat16(device) and (device.type != "cpu" or bfloat16_speed() > 1)


def about_bfloat16(device: torch.device) -> str:
    """What the device makes of bfloat16, in words."""
    if not computes_bfloat16(device):
        return "this device has no instructions for bfloat16"
    if device.type != "cpu":
        return "this device computes in bfloat16"
    return f"this CPU multiplied in bfloat16 at {bfloat16_speed():.1f} times its speed in float32"


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16, instead of only imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu
    checks = [getattr(cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return device.type == "cpu" and any(bool(check()) for check in checks if check is not None)


@cache
def bfloat16_speed() -> float:
    """How many products a core takes in bfloat16 while it takes one in float32, measured once; 0 where none can be.

    The instructions alone do not say: AVX-512's for bfloat16 are twice as fast as float32's on AMD's cores, and half
    as fast on Intel's, which have AMX for it, unless a virtual machine hides that.
    """
    try:
        layers = [_layer(kind) for kind in (torch.float32, torch.bfloat16)]
    except (RuntimeError, AttributeError):  # this torch has no such products, or not for this CPU
        return 0.0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Several wait for each other, which is no work of theirs but takes time.
    try:
        # In turns, and the fastest of each, since other work disturbs both alike.
        turns = [[_seconds(layer) for layer in layers] for _ in range(_TURNS)]
    finally:
        torch.set_num_threads(threads)
    plain, halves = (float(min(column)) for column in zip(*turns, strict=True))
    return plain / halves


def _layer(kind: torch.dtype) -> PackedLinear:
    linear = nn.Linear(_IN, _OUT, bias=False, device="meta", dtype=kind).to_empty(device="cpu")
    nn.init.ones_(linear.weight)
    return PackedLinear(linear)


@torch.inference_mode()
def _seconds(layer: PackedLinear) -> float:
    states = torch.ones(_ROWS, _IN, dtype=layer.weight.dtype)
    began = time.thread_time()
    layer(states)
    return time.thread_time() - began
