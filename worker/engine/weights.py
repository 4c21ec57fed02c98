"""The weights of one module's folder: safetensors first, else a pickled state that may hold tensors only."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from schemas.errors import ModelError


def read_weights(place: Path) -> dict[str, Tensor]:
    """Name to tensor."""
    if (place / "model.safetensors").exists():
        return load_file(place / "model.safetensors")
    if (place / "pytorch_model.bin").exists():
        weights: dict[str, Tensor] = torch.load(place / "pytorch_model.bin", map_location="cpu", weights_only=True)
        return weights
    raise ModelError(f"{place} has no weights: no model.safetensors or pytorch_model.bin", way_out="fetch it again")


def fill(layer: nn.Module, place: Path, device: torch.device) -> nn.Module:
    """`layer` with the weights in `place`, all of them and no other, ready to run in float32."""
    try:
        layer.load_state_dict(read_weights(place), strict=True)
    except RuntimeError as cause:
        raise ModelError(f"the weights in {place} do not fit: {cause}") from cause
    return layer.to(device=device, dtype=torch.float32).eval()
