"""How tokens enter a network: words and positions, summed and normed, then query, key and value of a first layer.

Knows no model by name: what flows from where to where is seen by watching a trial. Where that is all, these three are
looked up by word and position, which spares their products, and the embeddings are one pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.attention_watch import Attended, place_of, watched
from worker.engine.encoder_layers import EncoderLayer
from worker.engine.forward import Network
from worker.engine.kernels import Entry, Kernels, kernels
from worker.engine.kernels.calls import LONGEST
from worker.engine.swap import swapped
from worker.engine.tokens import Ids
from worker.engine.trial import apart, sequences, tolerance, vocabulary_of

#: In integers, by how much the end of a network may differ: what is looked up was not rounded to levels.
_SAME_AT_THE_END = 0.3
#: Larger tables are not worth their memory: networks with such have many layers, and gain least (2% at 12).
_MOST_BYTES = 192 * 2**20
#: What words and positions are called, in all of transformers.
_NAMES = ("input_ids", "position_ids")


class Entering(NamedTuple):
    """How tokens enter, and the module that embeds them."""

    entry: Entry
    embeddings: nn.Module


class KnownEmbeddings(nn.Module):
    """The module that embeds tokens in one pass; the module itself, where there are no kernels for it."""

    def __init__(self, plain: nn.Module, entry: Entry) -> None:
        super().__init__()
        self.plain, self.entry = plain, entry
        self._takes = signature(plain.forward)

    def __getattr__(self, name: str) -> Any:
        """What others look for in the module: its table of words tells how many tokens a network knows."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("plain"), name)

    def forward(self, *given: Any, **named: Any) -> Any:
        """[texts, tokens] of words and positions, as the module takes them, to [texts, tokens, width]."""
        own, taken = kernels(), self._takes.bind(*given, **named).arguments
        if own is None:
            return self.plain(*given, **named)
        words, positions = (taken[name].flatten().numpy().astype(np.int32) for name in _NAMES)
        return own.embed(self.entry, words, positions).view(*taken[_NAMES[0]].shape, -1)


@torch.inference_mode()
def entering(network: Network, spec: Spec) -> Entering | None:
    """How tokens enter, by a trial of the network as it was loaded; None where in another way, or without kernels."""
    vocabulary = vocabulary_of(network.model)
    if vocabulary is None or network.way != "runs" or network.device.type != "cpu" or network.layered or not kernels():
        return None
    ids, offsets = sequences(network, vocabulary, spec.max_tokens)
    seen = _Seen(ids, network.positions(ids, offsets))
    with seen.watching(network.model):
        network.features(ids, offsets)
    return seen.entering()


@torch.inference_mode()
def looked_up(network: Network, spec: Spec, found: Entering | None) -> Network:
    """The network with words and positions looked up, where it then gives what it gave; it is changed in place."""
    own, vocabulary = kernels(), vocabulary_of(network.model)
    if own is None or vocabulary is None or found is None:
        return network
    trial = sequences(network, vocabulary, spec.max_tokens)
    layer, before = _first_layer(network, found, trial)
    places: dict[nn.Module, nn.Module] = {found.embeddings: KnownEmbeddings(found.embeddings, found.entry)}
    if layer is not None and found.entry.bytes(layer.encoder.inner_kind) <= _MOST_BYTES:
        places[layer] = _knowing(layer, found.entry, own)
    alike = _SAME_AT_THE_END if network.integers else tolerance(network.model.dtype)
    if not swapped(network, places, trial, before, alike) or layer not in places:
        return network
    return replace(network, kernels=f"{network.kernels}; query, key and value of the first looked up by word")


def _knowing(layer: EncoderLayer, entry: Entry, own: Kernels) -> EncoderLayer:
    return EncoderLayer(layer.plain, layer.encoder, own, own.lookup(entry, layer.encoder.inner_kind))


def _first_layer(network: Network, found: Entering, trial: Any) -> tuple[EncoderLayer | None, Tensor]:
    """The layer that is given what the embeddings gave, if one call computes it; and the outcome of a trial."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def see(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen.append((module, inputs[0] if inputs else output, output))

    watched = [found.embeddings, *(module for module in network.model.modules() if isinstance(module, EncoderLayer))]
    hooks = [module.register_forward_hook(see) for module in watched]
    try:
        before = network.features(*trial).outcome
    finally:
        for hook in hooks:
            hook.remove()
    gave = {place_of(output) for module, _, output in seen if module is found.embeddings}
    layers = [module for module, given, _ in seen if isinstance(module, EncoderLayer) and place_of(given) in gave]
    return (layers[0] if len(layers) == 1 else None), before


class _Step(NamedTuple):
    """A module, what it was given first, and what it gave."""

    module: Any
    given: Tensor
    gave: Tensor


@dataclass
class _Seen:
    """What a trial of tokens passed through; all tensors are kept, so that no place in memory is used twice."""

    words: Ids
    positions: Any
    steps: list[_Step] = field(default_factory=list)
    embeddings: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    attended: list[Attended] = field(default_factory=list)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Meanwhile what happens in `model` is seen."""
        hooks = [module.register_forward_hook(self._module, with_kwargs=True) for module in model.modules()]
        try:
            with watched(self.attended.append):
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def _module(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        if _embeds(module, inputs, named):
            self.embeddings.append((module, output))
        elif inputs and isinstance(inputs[0], Tensor):
            self.steps.append(_Step(module, inputs[0], output))

    def entering(self) -> Entering | None:
        """How tokens entered, if in the one way that is known."""
        layers, norm = self._layers(), None
        given = {place_of(layer.given) for layer in layers}
        norms = [step for step in self._of(nn.LayerNorm) if {place_of(step.gave)} == given]
        modules = [module for module, gave in self.embeddings if {place_of(gave)} == given]
        if len(norms) != 1 or len(modules) != 1:
            return None
        norm = norms[0]
        tables = self._tables(norm.given)
        if tables is None or norm.module.bias is None:
            return None
        weights, biases = ([getattr(layer.module, name).detach() for layer in layers] for name in ("weight", "bias"))
        entry = Entry(*tables, norm.module, torch.cat(weights).float(), torch.cat(biases).float())
        return Entering(entry, modules[0])

    def _of(self, kind: type[nn.Module]) -> list[_Step]:
        return [step for step in self.steps if type(step.module) is kind]

    def _layers(self) -> list[_Step]:
        """Those that gave the first attention its query, key and value."""
        gave = {place_of(step.gave): step for step in self._of(nn.Linear) if step.module.bias is not None}
        states = self.attended[0].states if self.attended else ()
        layers = [gave[place] for place in map(place_of, states) if place in gave]
        return layers if len({layer.module for layer in layers}) == 3 else []

    def _tables(self, summed: Tensor) -> tuple[Tensor, Tensor] | None:
        """Of words and of positions, if the sum is of one row of each, and of rows that are the same for all tokens."""
        words, positions, always = [], [], torch.zeros(summed.shape[-1])
        before = [step for step in self._of(nn.Embedding) if step.gave.shape[-1] == summed.shape[-1]]
        for step in before:
            index, table = step.given.flatten().numpy(), step.module.weight.detach()
            if np.array_equal(index, self.words):
                words.append(table)
            elif np.array_equal(index, self.positions):
                positions.append(table)
            elif len(set(index.tolist())) == 1:
                always = always + table[int(index[0])].float()
        if len(words) != 1 or len(positions) != 1 or not 0 < len(positions[0]) <= LONGEST:
            return None
        places = (positions[0].float() + always).to(words[0].dtype)
        rows = words[0][torch.from_numpy(self.words)].float() + places[torch.from_numpy(self.positions)].float()
        return (words[0], places) if apart(rows, summed[0]) <= tolerance(summed.dtype) else None


def _embeds(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Whether a module was called with words and positions, and nothing that could stand for them."""
    try:
        taken = signature(module.forward).bind(*inputs, **named).arguments
    except (TypeError, ValueError):  # a forward that tells nothing of itself
        return False
    return all(isinstance(taken.get(name), Tensor) for name in _NAMES) and taken.get("inputs_embeds") is None
