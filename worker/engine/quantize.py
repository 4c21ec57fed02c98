"""Which linear layers of a loaded network compute in 8-bit integers: decided by trying, layer by layer.

Knows no model by name. Looked at are plain `nn.Linear` layers alone; all else stays in float32.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from schemas.errors import ModelError
from schemas.spec import Spec
from worker.engine.forward import Network
from worker.engine.half_states import with_half_states
from worker.engine.int8 import Int8Linear, weight_most
from worker.engine.kernel_linear import KernelLinear, is_best
from worker.engine.kernels import kernels
from worker.engine.layers import plain_linears, put
from worker.engine.trial import sequences, vocabulary_of

#: A layer whose output differs by more than this share of its length stays in float32. Of all-MiniLM-L6-v2 no
#: layer is above 0.042; where a few inputs are hundreds of times as large as the others, a layer is far above.
_MOST_ERROR = 0.05
_WAY_OUT = "--dtype float32"

Layers = dict[str, nn.Module]


def in_int8(network: Network, spec: Spec) -> Network:
    """The network with every linear layer in integers that bears it when tried; it is changed in place."""
    _check_bears()
    vocabulary = vocabulary_of(network.model)
    if vocabulary is None:
        raise ModelError(
            f"{spec.model} does not say how many tokens it knows, so int8 cannot be tried", way_out=_WAY_OUT
        )
    trial = sequences(network, vocabulary, spec.max_tokens)
    layers, errors = _tried(network, trial)
    kept = sorted(name for name, error in errors.items() if not error <= _MOST_ERROR)
    for name in kept:
        del layers[name]
    if not layers:
        raise ModelError(f"no layer of {spec.model} bears int8: {_share(layers, kept)}", way_out=_WAY_OUT)
    put(network.model, {network.model.get_submodule(name): layer for name, layer in layers.items()})
    try:
        network.features(*trial)
    except Exception as cause:  # whatever a network's own code does with a layer's weights
        raise ModelError(
            f"{spec.model} does not run in int8: {type(cause).__name__}: {cause}", way_out=_WAY_OUT
        ) from cause
    made = replace(network, integers=_share(layers, kept))
    with_half_states(made, trial)
    return made


def _check_bears() -> None:
    own = kernels()
    if own is not None and own.multiplies(torch.int8):
        return
    try:
        weight_most()
    except RuntimeError as cause:
        raise ModelError(f"int8 cannot be computed on this machine: {cause}", way_out=_WAY_OUT) from cause


def _in_integers(linear: nn.Linear) -> nn.Module:
    own = kernels()
    if own is not None and is_best(linear, own, integers=True):
        return KernelLinear(linear, own, integers=True)
    return Int8Linear(linear)


def _tried(network: Network, trial: Any) -> tuple[Layers, dict[str, float]]:
    """Each layer that the trial reaches, in integers, and its greatest error; what is not reached changes no vector."""
    layers: Layers = {}
    errors: dict[str, float] = {}

    def compare(name: str, linear: nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        layer = layers.setdefault(name, _in_integers(linear))
        error = float((layer(inputs[0]) - output).norm() / output.norm().clamp(min=1e-9))
        errors[name] = max(error, errors.get(name, 0.0))

    hooks = [linear.register_forward_hook(partial(compare, name)) for name, linear in plain_linears(network.model)]
    try:
        network.features(*trial)
    finally:
        for hook in hooks:
            hook.remove()
    return layers, errors


def _share(layers: Layers, kept: list[str]) -> str:
    text = f"{len(layers)} of {len(layers) + len(kept)} linear layers in integers, all else in float32"
    if not kept:
        return text
    more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
    return f"{text}; too far off in integers: {', '.join(kept[:3])}{more}"
