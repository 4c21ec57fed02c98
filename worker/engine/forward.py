"""One forward pass over many texts, packed end to end or padded; hidden states come back flat, without padding.

Which of the two is decided by trying, when the model is loaded: a few sequences packed against one by one. No list of
model names can know what the next version of a network does with its keyword arguments.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine import attention
from worker.engine.tokens import Ids, Offsets, offsets_of, runs_of

#: By how much a hidden state may differ from its one-by-one twin, relative to its length.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
#: Lengths of the trial sequences: neighbours of equal length, and one of a single token.
_TRIAL_LENGTHS = (37, 11, 11, 4, 1)


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network and how texts go through it; `reason` says why that way."""

    model: Any
    device: torch.device
    packed: bool
    reason: str
    first_position: int
    padding_id: int

    @torch.inference_mode()
    def hidden(self, ids: Ids, offsets: Offsets) -> Tensor:
        """The last hidden state of every token, [tokens, width]. Texts of equal length must be neighbours."""
        return self._packed(ids, offsets) if self.packed else self._padded(ids, offsets)

    def _packed(self, ids: Ids, offsets: Offsets) -> Tensor:
        states: Tensor = self.model(
            input_ids=self._tensor(ids)[None],
            position_ids=self._tensor(self._positions(ids, offsets))[None],
            packed_layout=attention.Layout(runs_of(offsets)),
        ).last_hidden_state
        return states[0]

    def _padded(self, ids: Ids, offsets: Offsets) -> Tensor:
        # On the right, whatever side the tokenizer pads on: positions then count from the text's own first token.
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


def decide(model: Any, *, device: torch.device, max_tokens: int | None) -> Network:
    """`model` with the packed forward where a trial shows that it gives the same, else with the padded one."""
    shared = {"model": model, "device": device, "padding_id": _padding_id(model), "first_position": _first(model)}
    padded = Network(packed=False, reason="", **shared)
    packed = Network(packed=True, reason="equal to one by one, as tried when it was loaded", **shared)
    ids, offsets = _trial(model, max_tokens, padded.padding_id)
    single = torch.cat([padded.hidden(ids[a:b], offsets_of(np.array([b - a]))) for a, b in _pairs(offsets)])
    usual = model.config._attn_implementation
    problem = _try_packed(packed, ids, offsets, single)
    if not problem:
        return packed
    model.set_attn_implementation(usual)
    return Network(packed=False, reason=f"packed is not usable: {problem}", **shared)


def _try_packed(network: Network, ids: Ids, offsets: Offsets, single: Tensor) -> str:
    attention.register()
    try:
        network.model.set_attn_implementation(attention.NAME)
        together = network.hidden(ids, offsets)
    except Exception as cause:  # any refusal of a network means the same: not this way
        return f"{type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else ''}"
    if together.shape != single.shape:
        return "the hidden states have another shape"
    apart = (together.float() - single.float()).norm(dim=-1) / single.float().norm(dim=-1).clamp(min=1e-9)
    worst = float(apart.max())
    return "" if worst <= _TOLERANCE[single.dtype] else f"it differs from one by one by {worst:.1e}"


def _trial(model: Any, max_tokens: int | None, padding_id: int) -> tuple[Ids, Offsets]:
    limit = max_tokens or 10**9
    window = getattr(model.config, "sliding_window", None) or 0
    # A sliding window shows only in a text that is longer than it.
    reach = (window + 9,) if isinstance(window, int) and 0 < window <= 1024 else ()
    lengths = np.array(sorted({min(length, limit) for length in (*reach, *_TRIAL_LENGTHS)} | set(), reverse=True))
    lengths = np.repeat(lengths, 2)
    offsets = offsets_of(lengths)
    vocabulary = model.get_input_embeddings().num_embeddings
    ids = np.random.default_rng(0).integers(0, vocabulary, size=int(offsets[-1]), dtype=np.int32)
    ids[ids == padding_id] = (padding_id + 1) % vocabulary
    return ids, offsets


def _pairs(offsets: Offsets) -> list[tuple[int, int]]:
    return list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def _padding_id(model: Any) -> int:
    padding = getattr(model.config, "pad_token_id", None)
    return 0 if padding is None else int(padding)


def _first(model: Any) -> int:
    """The position of a text's first token: behind the padding index where a learned table keeps one."""
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), torch.nn.Embedding):
            return padding + 1
    return 0
