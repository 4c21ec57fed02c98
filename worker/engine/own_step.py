"""A module of the model's own code among the others: it gets the dictionary of features that it was written for.

Texts of equal length go together, so nothing in that dictionary is padding and no vector depends on its neighbours.
What the module changed comes back into our flat arrays; what they cannot hold is an error, never dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schemas.errors import ModelError
from worker.engine.features import Features
from worker.engine.streams import put
from worker.engine.tokens import Offsets, offsets_of, runs_of


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours of equal length: `texts` of them, of `length` tokens each, from token `start` and text `row` on."""

    start: int
    row: int
    texts: int
    length: int

    def tokens(self, flat: Tensor) -> Tensor:
        """The run's rows of what has one per token, as [texts, tokens, ...]."""
        rows = flat[self.start : self.start + self.texts * self.length]
        return rows.reshape(self.texts, self.length, *flat.shape[1:])


def runs(offsets: Offsets) -> list[Run]:
    """All runs of a batch."""
    found, row = [], 0
    for start, texts, length in runs_of(offsets):
        found.append(Run(start=start, row=row, texts=texts, length=length))
        row += texts
    return found


@dataclass(frozen=True, slots=True)
class OwnStep:
    """A loaded module behind the first one; `kind` is its name in modules.json, `told` what its forward gets beside."""

    made: Any
    kind: str
    device: torch.device
    told: dict[str, Any] = field(default_factory=dict)

    def __call__(self, features: Features) -> Features:
        """The batch one module further."""
        ids = put(features.ids.astype(np.int64), self.device)
        known = {"input_ids": ids} if len(ids) == int(features.offsets[-1]) else {}
        asked = [self._given(features, run, known) for run in runs(features.offsets)]
        return joined(features, [self.answer(given) for given in asked])

    def answer(self, given: dict[str, Any]) -> Mapping[str, Any]:
        """What the module makes of one run, looked at for what we cannot carry on."""
        length, ids = given["attention_mask"].shape[1], given.get("input_ids")
        found = self.made(dict(given), **self.told)
        if not isinstance(found, Mapping):
            raise ModelError(f"module {self.kind} gives a {type(found).__name__}, where features are expected")
        mask = found.get("attention_mask")
        if mask is not None and (mask.shape[1] != length or not bool(mask.all())):
            raise ModelError(f"module {self.kind} masks tokens out (attention_mask), which cannot be carried on")
        if ids is not None and "input_ids" in found and not torch.equal(found["input_ids"], ids):
            raise ModelError(f"module {self.kind} changes input_ids, which cannot be carried on")
        return found

    def _given(self, features: Features, run: Run, known: dict[str, Tensor]) -> dict[str, Any]:
        given: dict[str, Any] = {name: run.tokens(flat) for name, flat in known.items()}
        given["attention_mask"] = torch.ones((run.texts, run.length), dtype=torch.int64, device=self.device)
        if features.tokens is not None:
            given["token_embeddings"] = run.tokens(features.tokens).float()
        if features.sentence is not None:
            given["sentence_embedding"] = features.sentence[run.row : run.row + run.texts]
        if features.layers:
            given["all_layer_embeddings"] = tuple(run.tokens(layer).float() for layer in features.layers)
        if features.prompt_length:
            given["prompt_length"] = features.prompt_length
        return given


def joined(features: Features, found: list[Mapping[str, Any]]) -> Features:
    """The runs of a batch, one behind the other again, with all that the module changed."""
    tokens = [one["token_embeddings"] for one in found if one.get("token_embeddings") is not None]
    sentences = [one["sentence_embedding"] for one in found if one.get("sentence_embedding") is not None]
    changed = replace(features, tokens=None, sentence=torch.cat(sentences).float() if sentences else None)
    if not tokens:
        return changed
    lengths = [length for states in tokens for length in [states.shape[1]] * states.shape[0]]
    return replace(
        changed,
        tokens=torch.cat([states.reshape(-1, states.shape[-1]) for states in tokens]),
        offsets=offsets_of(np.array(lengths)),
    )
