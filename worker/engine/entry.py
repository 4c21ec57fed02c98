"""How tokens enter a network: words and positions, summed and normed, then query, key and value of a first layer.

Knows no model by name: what flows from where to where is seen by watching a trial, by values and places in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.attention_watch import Attended, place_of, watched
from worker.engine.forward import Network
from worker.engine.kernels import Entry, kernels
from worker.engine.kernels.calls import LONGEST
from worker.engine.layers import hooked
from worker.engine.tokens import Ids
from worker.engine.trial import apart, sequences, tolerance, vocabulary_of

#: Larger tables of query, key, value and the words' own numbers are not worth their memory, nor the trials that find
#: how to make them: networks with such have many layers, and gain least (2% at 12).
_MOST_BYTES = 192 * 2**20
#: What words and positions are called, in all of transformers.
NAMES = ("input_ids", "position_ids")


class Entering(NamedTuple):
    """How tokens enter, and the module that embeds them."""

    entry: Entry
    embeddings: nn.Module


@torch.inference_mode()
def entering(network: Network, spec: Spec) -> Entering | None:
    """How tokens enter, by a trial of the network as it was loaded.

    None where they do so in another way, there are no kernels, or tables would be too large.
    """
    vocabulary = vocabulary_of(network.model)
    if vocabulary is None or network.way != "runs" or network.device.type != "cpu" or network.layered or not kernels():
        return None
    words = network.model.get_input_embeddings()
    if type(words) is not nn.Embedding or 4 * words.weight.nbytes > _MOST_BYTES:
        return None
    ids, offsets = sequences(network, vocabulary, spec.max_tokens)
    seen = _Seen(ids, network.positions(ids, offsets))
    with seen.watching(network.model):
        network.features(ids, offsets)
    return seen.entering()


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
        with hooked(model.modules(), self._module, named=True), watched(self.attended.append):
            yield

    def _module(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        if _embeds(module, inputs, named):
            self.embeddings.append((module, output))
        elif inputs and isinstance(inputs[0], Tensor):
            self.steps.append(_Step(module, inputs[0], output))

    def entering(self) -> Entering | None:
        """How tokens entered, if in the one way that is known."""
        layers = self._layers()
        given = {place_of(layer.given) for layer in layers}
        norms = [step for step in self._of(nn.LayerNorm) if {place_of(step.gave)} == given]
        modules = [module for module, gave in self.embeddings if {place_of(gave)} == given]
        if len(norms) != 1 or len(modules) != 1:
            return None
        norm, tables = norms[0].module, self._tables(norms[0].given)
        if tables is None or norm.bias is None:
            return None
        weights, biases = ([getattr(layer.module, name).detach() for layer in layers] for name in ("weight", "bias"))
        entry = Entry(*tables, norm, torch.cat(weights).float(), torch.cat(biases).float())
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
        for step in self._of(nn.Embedding):
            index, table = step.given.flatten().numpy(), step.module.weight.detach()
            if np.array_equal(index, self.words):
                words.append(table)
            elif np.array_equal(index, self.positions):
                positions.append(table)
            elif len(set(index.tolist())) == 1 and table.shape[1] == len(always):
                always = always + table[int(index[0])].float()
        if len(words) != 1 or len(positions) != 1 or not 0 < len(positions[0]) <= LONGEST:
            return None
        if any(table.shape[1] != len(always) for table in (*words, *positions)):
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
    return all(isinstance(taken.get(name), Tensor) for name in NAMES) and taken.get("inputs_embeds") is None
