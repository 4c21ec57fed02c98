"""The last layer of an encoder, computed for the first token of each text alone where no other is asked for.

Behind its attention no token sees another, and [CLS] pooling wants the first one's state: five sixths of the layer are
spared, and the bits are the same.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from schemas.spec import Spec
from worker.engine.attention_watch import place_of
from worker.engine.encoder_layers import EncoderLayer
from worker.engine.forward import Network
from worker.engine.heads import asks_first_only
from worker.engine.layers import hooked
from worker.engine.trial import sequences, vocabulary_of


@torch.inference_mode()
def with_first_tokens(network: Network, spec: Spec) -> Network:
    """The network, knowing that it gives first tokens alone, where it is asked to and a trial gives the same bits."""
    vocabulary = vocabulary_of(network.model)
    layers = [module for module in network.model.modules() if isinstance(module, EncoderLayer)]
    if not layers or vocabulary is None or not asks_first_only(spec.modules[1:], prompt_length=0):
        return network
    ids, offsets = sequences(network, vocabulary, spec.max_tokens)
    seen: list[tuple[EncoderLayer, int]] = []

    def see(layer: nn.Module, _inputs: Any, output: Any) -> None:
        assert isinstance(layer, EncoderLayer)
        seen.append((layer, place_of(output)))

    with hooked(layers, see):
        whole = network.features(ids, offsets).states
    last, place = seen[-1]
    if place != place_of(whole) or last.lookup is not None:
        return network
    last.is_last, made = True, replace(network, gives_first=True)
    try:
        same = torch.equal(made.first_tokens(ids, offsets).states, whole[torch.from_numpy(offsets[:-1])])
    except Exception:  # what follows the layer wants all tokens
        same = False
    last.is_last = same
    return replace(made, kernels=f"{network.kernels}; the last for first tokens alone") if same else network
