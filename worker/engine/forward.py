"""One forward pass over many texts, packed end to end or padded; hidden states come back flat, without padding."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from worker.engine.attention import Layout
from worker.engine.tokens import Ids, Offsets, runs_of

#: `at-once` and `runs` are packed, with one attention call for all texts or one per run of equal lengths.
Way = Literal["at-once", "runs", "padded"]


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

    @torch.inference_mode()
    def hidden(self, ids: Ids, offsets: Offsets) -> Tensor:
        """The last hidden state of every token, [tokens, width]. Texts of equal length must be neighbours."""
        return self._padded(ids, offsets) if self.way == "padded" else self._packed(ids, offsets)

    def _packed(self, ids: Ids, offsets: Offsets) -> Tensor:
        bounds = self._tensor(offsets).int() if self.way == "at-once" else None
        states: Tensor = self.model(
            input_ids=self._tensor(ids)[None],
            position_ids=self._tensor(self._positions(ids, offsets))[None],
            packed_layout=Layout(runs_of(offsets), bounds),
        ).last_hidden_state
        return states[0]

    def _padded(self, ids: Ids, offsets: Offsets) -> Tensor:
        # On the right, whatever side the tokenizer pads on: positions then count from the text's own first token,
        # so left padding with a learned position table, which makes vectors depend on their neighbours, cannot arise.
        lengths = np.diff(offsets)
        kept = np.arange(lengths.max()) < lengths[:, None]
        rows = np.full(kept.shape, self.padding_id, dtype=np.int64)
        rows[kept] = ids
        mask = self._tensor(kept)
        states: Tensor = self.model(input_ids=self._tensor(rows), attention_mask=mask.long()).last_hidden_state
        return states[mask]

    def _positions(self, ids: Ids, offsets: Offsets) -> Offsets:
        first, lengths = self.first_position, np.diff(offsets)
        if first and (literal := ids == self.padding_id).any():
            # These networks count no token that is the padding token, even where a text spells it out.
            counted = np.cumsum(~literal)
            before = np.concatenate(([0], counted))[offsets[:-1]]
            return np.where(literal, first - 1, counted - np.repeat(before, lengths) + first - 1)
        return np.arange(first, first + len(ids)) - np.repeat(offsets[:-1], lengths)

    def _tensor(self, array: Any) -> Tensor:
        wide = array if array.dtype == np.bool_ else array.astype(np.int64, copy=False)
        return torch.from_numpy(np.ascontiguousarray(wide)).to(self.device, non_blocking=True)
