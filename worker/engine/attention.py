"""Attention over packed sequences: many texts lie end to end in one row, and none sees another.

Registered under a name of ours through the public interfaces of transformers, so no model is patched. The layout
arrives as keyword arguments, which the models hand through to the attention function.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "vecmill_packed"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sequences of a packed row lie: runs of equal length as (first token, how many, tokens in each)."""

    runs: list[tuple[int, int, int]]


def packed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of [1, heads, tokens, width] inside each sequence; gives [1, tokens, heads, width]."""
    layout: Layout = kwargs["packed_layout"]
    said = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if said is None else said
    grouped = query.shape[1] != key.shape[1]
    outputs = []
    for start, count, length in layout.runs:
        q, k, v = (_rows(states, start, count, length) for states in (query, key, value))
        mask = _window(length, kwargs.get("sliding_window"), causal=causal, device=query.device)
        output = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal and mask is None, scale=kwargs.get("scaling"), enable_gqa=grouped
        )
        outputs.append(output.transpose(1, 2).reshape(count * length, q.shape[1], v.shape[3]))
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs))[None], None


def _rows(states: Tensor, start: int, count: int, length: int) -> Tensor:
    """One run of [1, heads, tokens, width] as [count, heads, length, width], without a copy."""
    _, heads, _, width = states.shape
    return states[0, :, start : start + count * length].view(heads, count, length, width).transpose(0, 1)


def _window(length: int, window: int | None, *, causal: bool, device: torch.device) -> Tensor | None:
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places[None]
    near = distance.abs() < window
    return near & (distance >= 0) if causal else near


def register() -> None:
    """Make `NAME` known to transformers; doing it again changes nothing."""
    AttentionInterface.register(NAME, packed_attention)
    # Packed sequences need no mask: the attention function never lets one reach another.
    AttentionMaskInterface.register(NAME, lambda *_args, **_kwargs: None)
