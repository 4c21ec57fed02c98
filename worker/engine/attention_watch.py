"""Seeing what a network hands to its attention function while it is tried, and what it gets back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import AttentionInterface

from worker.engine import attention


@dataclass(frozen=True, slots=True)
class Attended:
    """One call: query, key and value, [1, heads, tokens, width] each; [1, tokens, heads, width]; and of which kind."""

    states: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    kind: attention.Kind


@contextmanager
def watched(see: Callable[[Attended], None]) -> Iterator[None]:
    """Meanwhile each call of the packed attention function is told, right behind it."""

    def watch(module: Any, query: Tensor, key: Tensor, value: Tensor, *more: Any, **options: Any) -> Any:
        outcome = attention.packed_attention(module, query, key, value, *more, **options)
        see(Attended((query, key, value), outcome[0], attention.Kind.of(module, query, key, options)))
        return outcome

    AttentionInterface.register(attention.NAME, watch)
    try:
        yield
    finally:
        attention.register()


def place_of(tensor: Tensor) -> int:
    """Where in memory a tensor's numbers are: the same for its views. To compare, all tensors must be kept."""
    return tensor.untyped_storage().data_ptr()
