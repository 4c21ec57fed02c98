"""How many tokens a batch should have: the fewest with which a device is about as fast as it gets.

Found by trying, each time with twice as many. Knows no device: it is told how fast one is, and how much memory is free.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from schemas.text import EXAMPLE
from worker.engine import streams
from worker.engine.alone import encode_alone
from worker.engine.launch import Encodes
from worker.engine.tokens import Tokens, offsets_of

#: Below the first a GPU waits for its host; the last is a second of work for a large network.
FIRST, LAST = 4096, 262144
#: The knee is the fewest tokens that are at most so far from the fastest.
_KNEE = 0.95
#: After so many doublings that made nothing faster, no other will.
_PATIENCE = 2
#: This share of the device's memory stays free: for longer texts, another model, other programs.
RESERVE = 0.2
#: Texts are as long as passages mostly are, and each measurement has so many batches.
_LENGTH, _BATCHES = 128, 6


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of a batch, and why so many; a CPU's needs no reason."""

    tokens: int
    reason: str = ""


#: What devices are good at where nothing was tried: a CPU core's cache is small, a GPU wants much work at once.
USUAL = {"cpu": Budget(2048), "cuda": Budget(16384)}


class HasTokens(Encodes, Protocol):
    """What can be asked for the tokens of a text."""

    def tokens(self, texts: list[str]) -> Tokens:
        """As the engine takes them."""


def decide_budget(embedder: HasTokens, device: torch.device) -> Budget:
    """The knee of this device and model on a GPU, else what is usual. Raises `AcceleratorError` of a lost device."""
    usual = USUAL.get(device.type, USUAL["cuda"])
    if device.type != "cuda":
        return usual
    try:
        found = find_knee(lambda tokens: measured(embedder, tokens), lambda: streams.free_share(device))
    except Exception as cause:  # whatever it is, it is no reason not to work
        if isinstance(cause, torch.AcceleratorError) and not streams.is_out_of_memory(cause):
            raise
        found = Budget(usual.tokens, f"usual; it could not be measured: {type(cause).__name__}")
    torch.cuda.empty_cache()
    return found


def find_knee(speed: Callable[[int], float], free_share: Callable[[], float]) -> Budget:
    """Try budgets from `FIRST` on. `speed` gives tokens a second, or raises where memory does not suffice."""
    speeds: dict[int, float] = {}
    tokens, stopped = FIRST, ""
    while tokens <= LAST and not stopped:
        try:
            rate = speed(tokens)
        except Exception as cause:
            if not streams.is_out_of_memory(cause):
                raise
            stopped = f"memory ends before {tokens:,}"
            break
        if free_share() < RESERVE:
            stopped = f"less than {RESERVE:.0%} of the memory stays free with {tokens:,}"
            break
        speeds[tokens] = rate
        if _settled(list(speeds.values())):
            break
        tokens *= 2
    if not speeds:
        return Budget(FIRST // 2, stopped)
    return _knee(speeds, stopped)


def _knee(speeds: dict[int, float], stopped: str) -> Budget:
    best = max(speeds.values())
    tokens = next(tokens for tokens, rate in speeds.items() if rate >= _KNEE * best)
    words = f"measured: {speeds[tokens]:,.0f} tokens a second, {speeds[tokens] / best:.0%} of the most"
    return Budget(tokens, f"{words}; {stopped}" if stopped else words)


def _settled(rates: list[float]) -> bool:
    """Whether the last doublings made nothing faster."""
    before = max(rates[:-_PATIENCE], default=0.0)
    return len(rates) > _PATIENCE and max(rates[-_PATIENCE:]) * _KNEE < before


def measured(embedder: HasTokens, tokens: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Tokens a second with batches of so many, all texts of one length; a batch goes first to warm up."""
    ids = embedder.tokens([EXAMPLE * _LENGTH]).ids[:_LENGTH]
    rows = max(1, tokens // len(ids))
    encode_alone(embedder, _copies(ids, rows), budget=tokens)
    began = clock()
    encode_alone(embedder, _copies(ids, rows * _BATCHES), budget=tokens)
    return rows * _BATCHES * len(ids) / (clock() - began)


def _copies(ids: "np.ndarray[tuple[int], np.dtype[np.int32]]", rows: int) -> Tokens:
    return Tokens(np.tile(ids, rows), offsets_of(np.full(rows, len(ids))), np.zeros(rows, dtype=np.bool_))
