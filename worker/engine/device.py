"""Which device and which number format a model runs in."""

import torch

from schemas.errors import ModelError

#: int8 is of linear layers only, and is put in once a network is loaded.
_DTYPES = {"int8": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
    """`auto` is bfloat16 where the hardware computes in it, else float32."""
    if wanted == "int8" and device.type != "cpu":
        raise ModelError(f"int8 computes on a CPU only, not on {device}", way_out="--device cpu, or --dtype bfloat16")
    if wanted != "auto":
        return _DTYPES[wanted]
    return torch.bfloat16 if computes_bfloat16(device) else torch.float32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16, instead of only imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu
    checks = [getattr(cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return device.type == "cpu" and any(bool(check()) for check in checks if check is not None)
