"""The modules behind the first one, and the end of every spec: truncation, then normalization.

A registry by kind, as data; a kind that is not in it is an error. Modules that work on tokens before pooling are in
`token_heads`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from schemas.errors import ModelError
from schemas.model_own import is_own
from schemas.spec import Module, Spec
from worker.engine.features import Features, Step
from worker.engine.own_class import load_own, task_of
from worker.engine.own_step import OwnStep
from worker.engine.pooling import pool
from worker.engine.token_heads import TOKEN_HEADS
from worker.engine.weights import fill

Loader = Callable[[Path, dict[str, Any], torch.device], Step]
#: A module is known by its kind, its folder and its task; two without a file may share one.
Key = tuple[str, str, str]


class _Dense(nn.Module):
    """Linear, activation, and where the model says so a residual added after it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        inner, outer = config["in_features"], config["out_features"]
        self.linear = nn.Linear(inner, outer, bias=config["bias"])
        self.activation = _activation(config["activation"])
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


@dataclass(frozen=True, slots=True)
class _Pooling:
    """The vectors of a text's tokens to one."""

    config: dict[str, Any]

    def __call__(self, features: Features) -> Features:
        return replace(features, sentence=pool(features, self.config), layers=())


@dataclass(frozen=True, slots=True)
class _EachVector:
    """A function of one vector, for the sentence's or for every token's."""

    function: Callable[[Tensor], Tensor]
    level: str = "sentence"

    def __call__(self, features: Features) -> Features:
        if self.level == "tokens":
            return replace(features, tokens=self.function(features.states.float()))
        return replace(features, sentence=self.function(features.vectors))


def load_heads(folder: Path, spec: Spec, *, device: torch.device) -> dict[Key, Step]:
    """The modules of `spec` behind its first, ready to run."""
    return {key_of(module): _load(folder, spec, module, device) for module in spec.modules[1:]}


def key_of(module: Module) -> Key:
    """By what a loaded module is found again."""
    return module.kind, module.path, str(module.config.get("task", ""))


def asks_first_only(modules: Sequence[Module], prompt_length: int) -> bool:
    """Whether modules behind the first ask for no token's state but the first's of each text: [CLS] pooling does."""
    pooling, *rest = modules or (None,)
    if pooling is None or pooling.kind != "Pooling" or pooling.config["modes"] != ["cls"]:
        return False
    if prompt_length and not pooling.config["include_prompt"]:
        return False
    return not any(is_own(module.kind) or module.config.get("level") == "tokens" for module in rest)


def finish(features: Features, *, heads: Sequence[Step], truncate_dims: int | None, unit: bool) -> Tensor:
    """A batch through the modules, then its vectors cut, then made unit length where the spec says so."""
    for head in heads:
        features = head(features)
    vectors = features.vectors
    if truncate_dims is not None:
        vectors = vectors[:, :truncate_dims]
    return _unit(vectors) if unit else vectors


def _load(folder: Path, spec: Spec, module: Module, device: torch.device) -> Step:
    if is_own(module.kind):
        made = load_own(folder, spec, module, device=device, dtype=torch.float32)
        return OwnStep(made, module.kind, device, task_of(made, module))
    if module.kind not in _LOADERS:
        raise ModelError(f"module {module.kind} in {module.path!r} is not supported")
    return _LOADERS[module.kind](folder / module.path, module.config, device)


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors, p=2.0, dim=-1)


def _activation(name: str) -> nn.Module:
    found = getattr(nn, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"activation {name} is no torch.nn module", way_out="use a model with a torch.nn activation")
    module: nn.Module = found()
    return module


def _weighted(make: Callable[[dict[str, Any]], nn.Module]) -> Loader:
    return lambda place, config, device: _EachVector(fill(make(config), place, device), config.get("level", "sentence"))


_LOADERS: dict[str, Loader] = {
    "Pooling": lambda _place, config, _device: _Pooling(config),
    "Dense": _weighted(_Dense),
    "LayerNorm": _weighted(_LayerNorm),
    "Normalize": lambda _place, _config, _device: _EachVector(_unit),
    "Dropout": lambda _place, _config, _device: lambda features: features,
    **TOKEN_HEADS,
}
