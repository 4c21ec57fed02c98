"""The modules after pooling, and the end of every spec: truncation, then normalization.

A registry by kind, as data; a kind that is not in it is an error. Weights are loaded strictly: all of them, and
no other.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from schemas.errors import ModelError
from schemas.spec import Module, Spec

Head = Callable[[Tensor], Tensor]


class _Dense(nn.Module):
    """Linear, activation, and where the model says so a residual added after it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        inner, outer = config["in_features"], config["out_features"]
        self.linear = nn.Linear(inner, outer, bias=config["bias"])
        self.activation = getattr(nn, config["activation"])()
        self.adds = config["residual"]
        if self.adds and inner != outer:
            self.residual = nn.Linear(inner, outer, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        projected: Tensor = self.activation(self.linear(vectors))
        if not self.adds:
            return projected
        return projected + (self.residual(vectors) if hasattr(self, "residual") else vectors)


class _LayerNorm(nn.Module):
    """Layer normalization of the pooled vector."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config["dimension"])

    def forward(self, vectors: Tensor) -> Tensor:
        normed: Tensor = self.norm(vectors)
        return normed


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors, p=2.0, dim=-1)


#: Modules with weights of their own, and modules without.
_WEIGHTED: dict[str, Callable[[dict[str, Any]], nn.Module]] = {"Dense": _Dense, "LayerNorm": _LayerNorm}
_PLAIN: dict[str, Head] = {"Normalize": _unit, "Dropout": lambda vectors: vectors}


def load_heads(folder: Path, spec: Spec, *, device: torch.device) -> dict[str, Head]:
    """The modules of `spec` after its Pooling by their folders, ready to run on float32 vectors."""
    return {module.path: _load(folder, module, device) for module in spec.modules[2:]}


def finish(vectors: Tensor, *, heads: list[Head], truncate_dims: int | None, unit: bool) -> Tensor:
    """Pooled vectors through the saved modules, then cut, then made unit length where the spec says so."""
    for head in heads:
        vectors = head(vectors)
    if truncate_dims is not None:
        vectors = vectors[:, :truncate_dims]
    return _unit(vectors) if unit else vectors


def _load(folder: Path, module: Module, device: torch.device) -> Head:
    if module.kind in _PLAIN:
        return _PLAIN[module.kind]
    if module.kind not in _WEIGHTED:
        raise ModelError(f"module {module.kind} in {module.path!r} is not supported")
    layer = _WEIGHTED[module.kind](module.config)
    try:
        layer.load_state_dict(_weights(folder / module.path), strict=True)
    except RuntimeError as cause:
        raise ModelError(f"the weights of {module.kind} in {folder / module.path} do not fit: {cause}") from cause
    return layer.to(device=device, dtype=torch.float32).eval()


def _weights(place: Path) -> dict[str, Tensor]:
    if (place / "model.safetensors").exists():
        return load_file(place / "model.safetensors")
    if (place / "pytorch_model.bin").exists():
        weights: dict[str, Tensor] = torch.load(place / "pytorch_model.bin", map_location="cpu", weights_only=True)
        return weights
    raise ModelError(f"{place} has no weights: no model.safetensors or pytorch_model.bin", way_out="fetch it again")
