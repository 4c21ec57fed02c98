"""Words and positions looked up where a network's tokens enter: by one product less for each of query, key and value.

The embeddings are one pass meanwhile. Both are kept where the network then gives what it gave.
"""

from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.attention_watch import place_of
from worker.engine.encoder_layers import EncoderLayer
from worker.engine.entry import NAMES, Entering
from worker.engine.forward import Network
from worker.engine.kernels import Entry, Kernels, kernels
from worker.engine.layers import hooked
from worker.engine.swap import swapped
from worker.engine.trial import sequences, tolerance, vocabulary_of

#: In integers, by how much the end of a network may differ: what is looked up was not rounded to levels.
_SAME_AT_THE_END = 0.3


class KnownEmbeddings(nn.Module):
    """The module that embeds tokens in one pass; the module itself, where it is given less, or there are no kernels."""

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
        words, positions = (taken.get(name) for name in NAMES)
        if own is None or words is None or positions is None:
            return self.plain(*given, **named)
        rows = (index.flatten().numpy().astype(np.int32) for index in (words, positions))
        return own.embed(self.entry, *rows).view(*words.shape, -1)


@torch.inference_mode()
def looked_up(network: Network, spec: Spec, found: Entering | None) -> Network:
    """The network with words and positions looked up, where it then gives what it gave; it is changed in place."""
    own, vocabulary = kernels(), vocabulary_of(network.model)
    if own is None or vocabulary is None or found is None:
        return network
    trial = sequences(network, vocabulary, spec.max_tokens)
    layer, before = _first_layer(network, found, trial)
    places: dict[nn.Module, nn.Module] = {found.embeddings: KnownEmbeddings(found.embeddings, found.entry)}
    if layer is not None:
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
    with hooked(watched, see):
        before = network.features(*trial).outcome
    gave = {place_of(output) for module, _, output in seen if module is found.embeddings}
    layers = [module for module, given, _ in seen if isinstance(module, EncoderLayer) and place_of(given) in gave]
    return (layers[0] if len(layers) == 1 else None), before
