"""What flows from module to module: a batch of texts, flat, at the level of tokens, then of sentences."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from worker.engine.tokens import Ids, Offsets


@dataclass(frozen=True, slots=True)
class Features:
    """A batch on its way: text i is rows `offsets[i]:offsets[i + 1]` of `tokens`, and row i of `sentence`.

    `prompt_length`: how many of each text's first tokens are a prompt. `layers`: the states behind every layer, where
    a module wants them. `weights`: the sum of each text's word weights, where words have weights. `at_once`: whether
    what is done text by text is done for all texts in one call.
    """

    ids: Ids
    offsets: Offsets
    tokens: Tensor | None = None
    sentence: Tensor | None = None
    prompt_length: int = 0
    layers: tuple[Tensor, ...] = ()
    weights: Tensor | None = None
    at_once: bool = False

    @property
    def states(self) -> Tensor:
        """The tokens' vectors, of a batch that still has them."""
        assert self.tokens is not None
        return self.tokens

    @property
    def outcome(self) -> Tensor:
        """What there is of the two: the tokens' vectors, or else the sentences'."""
        return self.vectors if self.tokens is None else self.tokens

    @property
    def vectors(self) -> Tensor:
        """The sentences' vectors, of a batch that has them already."""
        assert self.sentence is not None
        return self.sentence


class Step(Protocol):
    """A module behind the first one."""

    def __call__(self, features: Features) -> Features:
        """The batch one module further."""


class Reader(Protocol):
    """The first module without its tokenizer: token ids to features."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def padded(self) -> bool:
        """Whether a batch costs its longest text times its rows."""

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch; texts of equal length must be neighbours."""

    def describe(self) -> dict[str, str]:
        """Facts that a person asks for: number format, name, way, reason."""
