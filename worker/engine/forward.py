"""One forward pass over many texts, packed end to end or padded; hidden states come back flat, without padding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemas.errors import ModelError
from worker.engine.attention import Layout
from worker.engine.device import gains_by_bfloat16
from worker.engine.features import Features
from worker.engine.streams import put
from worker.engine.token_types import TokenTypes
from worker.engine.tokens import Ids, Offsets, runs_of

#: `at-once` and `runs` are packed, with one attention call for all texts or one per run of equal lengths.
Way = Literal["at-once", "runs", "padded"]
#: From what a network gives for a batch to one row per token.
Flatten = Callable[[Tensor], Tensor]
#: Which places of a padded batch, [texts, tokens], are no padding.
Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network and how texts go through it; `reason` says why that way.

    `first_position` is where a text's positions begin; above 0 it is one more than the padding token's own.
    """

    model: Any
    device: torch.device
    way: Way
    reason: str
    first_position: int
    padding_id: int
    #: Of a network that is asked by another method than forward: its name, and which of its outputs is the vector.
    method: str | None = None
    output: str | None = None
    layered: bool = False
    types: TokenTypes | None = None
    #: Which layers compute in 8-bit integers, in words; nothing where none does.
    integers: str = ""
    #: How its linear layers keep their weights, where another way than as loaded was looked at.
    weights: str = ""
    #: Whose kernels do what is no matrix product, on a CPU.
    kernels: str = ""
    #: Whether it has a last layer that can be asked for each text's first token alone.
    gives_first: bool = False

    @property
    def padded(self) -> bool:
        """Whether a batch costs its longest text times its rows."""
        return self.way == "padded"

    @property
    def rough(self) -> bool:
        """Whether attention's products of float32 may be, and are faster, in bfloat16: between layers in integers."""
        return bool(self.integers) and gains_by_bfloat16(self.device)

    def describe(self) -> dict[str, str]:
        """Facts that a person asks for."""
        dtype = "int8" if self.integers else str(self.model.dtype).removeprefix("torch.")
        facts = {"dtype": dtype, "network": type(self.model).__name__, "way": self.way, "reason": self.reason}
        extra = {"integers": self.integers, "weights": self.weights, "kernels": self.kernels}
        return facts | {name: text for name, text in extra.items() if text}

    @torch.inference_mode()
    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """The last hidden state of every token, or whatever the model's files say. Equal lengths are neighbours."""
        if self.method is not None:
            return Features(ids, offsets, sentence=self._sentence(ids, offsets))
        output, flat = self._padded(ids, offsets) if self.padded else self._packed(ids, offsets)
        layers = tuple(flat(states) for states in output.hidden_states) if self.layered else ()
        return Features(ids, offsets, tokens=flat(output.last_hidden_state), layers=layers)

    def hidden(self, ids: Ids, offsets: Offsets) -> Tensor:
        """The last hidden state of every token, [tokens, width]."""
        return self.features(ids, offsets).states

    @torch.inference_mode()
    def first_tokens(self, ids: Ids, offsets: Offsets) -> Features:
        """The last hidden state of each text's first token: texts of one token each, for the modules behind."""
        output, flat = self._packed(ids, offsets, first_only=True)
        states, first = flat(output.last_hidden_state), offsets[:-1]
        if len(states) != len(first):  # the last layer was computed in full, for a very long text
            states = states[torch.from_numpy(first)]
        return Features(ids[first], np.arange(len(offsets)), tokens=states)

    def _packed(self, ids: Ids, offsets: Offsets, *, first_only: bool = False) -> tuple[Any, Flatten]:
        bounds = put(offsets.astype(np.int32), self.device) if self.way == "at-once" else None
        positions = self.positions(ids, offsets)
        output = self.model(
            input_ids=self._tensor(ids)[None],
            position_ids=self._tensor(positions)[None],
            packed_layout=Layout(
                runs_of(offsets), bounds, rough=self.rough,
                tokens=(np.ascontiguousarray(ids, np.int32), positions.astype(np.int32)), first_only=first_only,
            ),
        )  # fmt: skip
        return output, lambda states: states[0]

    def _padded(self, ids: Ids, offsets: Offsets) -> tuple[Any, Flatten]:
        rows, mask, kept = self._rows(ids, offsets)
        places = put(np.flatnonzero(kept), self.device)
        types = self.types.rows(np.diff(offsets)) if self.types is not None else None
        extra = {} if types is None else {"token_type_ids": self._tensor(types)}
        output = self.model(input_ids=rows, attention_mask=mask, **extra)

        def flat(states: Tensor) -> Tensor:
            if states.shape[:2] != kept.shape:
                raise ModelError(
                    f"the network gives states of shape {list(states.shape)} for tokens {list(kept.shape)}"
                )
            # By places that the host knows: a mask would have to be counted first, and a GPU be waited for.
            return states.flatten(0, 1).index_select(0, places)

        return output, flat

    def _sentence(self, ids: Ids, offsets: Offsets) -> Tensor:
        rows, mask, _ = self._rows(ids, offsets)
        output = getattr(self.model, self.method or "")(input_ids=rows, attention_mask=mask)
        vectors: Tensor = output if self.output is None else output[self.output]
        return vectors.float()

    def _rows(self, ids: Ids, offsets: Offsets) -> tuple[Tensor, Tensor, Kept]:
        # On the right, whatever side the tokenizer pads on: positions then count from the text's own first token,
        # so left padding with a learned position table, which makes vectors depend on their neighbours, cannot arise.
        lengths = np.diff(offsets)
        kept = np.arange(lengths.max()) < lengths[:, None]
        rows = np.full(kept.shape, self.padding_id, dtype=np.int64)
        rows[kept] = ids
        return self._tensor(rows), self._tensor(kept), kept

    def positions(self, ids: Ids, offsets: Offsets) -> Offsets:
        """Where each token is in its text, as the network counts; int64 [tokens]."""
        first, lengths = self.first_position, np.diff(offsets)
        if first and (literal := ids == self.padding_id).any():
            # These networks count no token that is the padding token, even where a text spells it out.
            counted = np.cumsum(~literal)
            before = np.concatenate(([0], counted))[offsets[:-1]]
            return np.where(literal, first - 1, counted - np.repeat(before, lengths) + first - 1)
        return np.arange(first, first + len(ids)) - np.repeat(offsets[:-1], lengths)

    def _tensor(self, array: Any) -> Tensor:
        return put(array.astype(np.int64, copy=False), self.device)
