"""Attention over packed sequences: many texts lie end to end in one row, and none sees another.

Registered under a name of ours through the public interface of transformers, so no model is patched. The layout
arrives as a keyword argument, which the models hand through to the attention function. Three kernels: one call per run
of texts of equal length, anywhere; one call for all, on a GPU and in half precision; and ours, on a CPU that has it,
where each text sees all of itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from worker.engine.kernels import kernels
from worker.engine.tokens import Ids

NAME = "vecmill_packed"
#: Scores of all pairs are kept at once by the way of products, so it is for short texts only.
_LONGEST_PRODUCT = 512
#: So many bfloat16 values are one vector; above so many, what is left over of a row no longer weighs.
_VECTOR, _LONGEST_UNEVEN = 32, 99


Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where the sequences of a packed row lie.

    `runs` of equal length are (first token, how many, tokens in each). With `bounds`, int32 on the device, the
    kernel that takes all sequences at once is used. `rough`: products may be taken in bfloat16. `tokens`: their
    words and their positions, int32 [tokens] each, where they are known. `first_only`: the last layer's states are
    asked for of each sequence's first token alone.
    """

    runs: list[tuple[int, int, int]]
    bounds: Tensor | None = None
    rough: bool = False
    tokens: tuple[Ids, Ids] | None = None
    first_only: bool = False

    @cached_property
    def places(self) -> Places:
        """The runs as int64 [runs, 3]."""
        return np.array(self.runs, dtype=np.int64)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(length for _, _, length in self.runs)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a layer attends: to earlier tokens only, and to those nearer than `window` only (None: to all)."""

    causal: bool
    window: int | None
    scale: float | None
    grouped: bool

    @classmethod
    def of(cls, module: Any, query: Tensor, key: Tensor, options: Mapping[str, Any]) -> Self:
        """What a network says in a call of its attention function."""
        said = options.get("is_causal")
        return cls(
            causal=getattr(module, "is_causal", True) if said is None else said,
            window=options.get("sliding_window"),
            scale=options.get("scaling"),
            grouped=query.shape[1] != key.shape[1],
        )

    @property
    def plain(self) -> bool:
        """Whether each token sees all of its text, and how its scores are scaled is said."""
        return not self.causal and not self.grouped and self.window is None and self.scale is not None


def packed_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of [1, heads, tokens, width] inside each sequence; gives [1, tokens, heads, width]."""
    layout: Layout = kwargs["packed_layout"]
    kind = Kind.of(module, query, key, kwargs)
    if layout.bounds is not None:
        return _at_once((query, key, value), layout.bounds, layout.longest, kind)[None], None
    own = kernels() if _is_plain(query, kind) else None
    if own is not None and own.bears((query, key, value), layout.longest):
        return own.attention((query, key, value), layout.places, kind.scale or 1.0, rough=layout.rough)[None], None
    outputs = [_one_run(query, key, value, run, kind) for run in layout.runs]
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs))[None], None


def _one_run(query: Tensor, key: Tensor, value: Tensor, run: tuple[int, int, int], kind: Kind) -> Tensor:
    if _by_products(query, run[2], kind):
        return _products(query, key, value, run, kind.scale)
    q, k, v = (_rows(states, *run) for states in (query, key, value))
    mask = _near(run[2], kind, query.device)
    output = scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=kind.causal and mask is None, scale=kind.scale, enable_gqa=kind.grouped
    )
    return output.transpose(1, 2).reshape(run[1] * run[2], q.shape[1], v.shape[3])


def _by_products(query: Tensor, length: int, kind: Kind) -> bool:
    """Whether two batched products are the faster way: in bfloat16 on a CPU, where each text sees all of itself."""
    return _is_plain(query, kind) and query.dtype == torch.bfloat16 and length <= _LONGEST_PRODUCT


def _is_plain(query: Tensor, kind: Kind) -> bool:
    return kind.plain and query.device.type == "cpu"


def _products(query: Tensor, key: Tensor, value: Tensor, run: tuple[int, int, int], scale: float | None) -> Tensor:
    start, count, length = run
    heads, width = query.shape[1], value.shape[3]
    q, k, v = (
        states[0, :, start : start + count * length].reshape(heads * count, length, states.shape[3])
        for states in (query, key, value)
    )
    scores = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=scale or 1.0)
    return torch.bmm(_softmax(scores), v).view(heads, count * length, width).transpose(0, 1).contiguous()


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over the last dimension, by way of float32 where torch's own in bfloat16 leaves most of it unvectorized.

    Measured on Zen 4, and exact to the same rounding: at length 30 a third of the time, at multiples of 32 the same.
    """
    length = scores.shape[-1]
    if length % _VECTOR and _VECTOR // 2 <= length <= _LONGEST_UNEVEN:
        return scores.float().softmax(-1).to(scores.dtype)
    return scores.softmax(-1)


def _rows(states: Tensor, start: int, count: int, length: int) -> Tensor:
    """One run of [1, heads, tokens, width] as [count, heads, length, width], without a copy."""
    _, heads, _, width = states.shape
    return states[0, :, start : start + count * length].view(heads, count, length, width).transpose(0, 1)


def _near(length: int, kind: Kind, device: torch.device) -> Tensor | None:
    """Who may see whom in one text, where a window cuts it off."""
    if kind.window is None or length <= kind.window:
        return None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places[None]
    near = distance.abs() < kind.window
    return near & (distance >= 0) if kind.causal else near


def _at_once(states: tuple[Tensor, Tensor, Tensor], bounds: Tensor, longest: int, kind: Kind) -> Tensor:
    # A second and a half of imports (the compiler's) that a CPU worker need not wait for.
    from torch.nn.attention import varlen

    q, k, v = (part[0].transpose(0, 1) for part in states)
    reach = -1 if kind.window is None else kind.window - 1
    output = varlen.varlen_attn(
        q,
        k,
        v,
        bounds,
        bounds,
        longest,
        longest,
        scale=kind.scale,
        window_size=(reach, 0 if kind.causal else reach),
        enable_gqa=kind.grouped,
        # Splits depend on the longest text of a batch; without them a vector does not depend on its neighbours.
        num_splits=1,
    )
    assert isinstance(output, Tensor)
    return output


def register() -> None:
    """Make `NAME` known to transformers; doing it again changes nothing.

    With no mask function of that name no mask is made, and none is needed: the attention function never lets a text
    reach another. Registering one that gives None would make decoders look into the positions, which waits for a GPU.
    """
    AttentionInterface.register(NAME, packed_attention)
