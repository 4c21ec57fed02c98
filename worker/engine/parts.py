"""What is loaded once per model and device; which of its heads a spec uses is up to the embedder."""

from dataclasses import dataclass
from pathlib import Path

import torch

from schemas.spec import Spec
from worker.engine.features import Reader, Step
from worker.engine.first import Tokenizes, load_first
from worker.engine.heads import Key, load_heads
from worker.engine.launch import Lane
from worker.engine.probe import USUAL, Budget


@dataclass(frozen=True, slots=True)
class Parts:
    """A model's files as they run; `lane` and `budget` say how batches go over its device, and how large they are."""

    folder: Path
    tokenizer: Tokenizes
    network: Reader
    heads: dict[Key, Step]
    lane: Lane
    budget: Budget


def load_parts(folder: Path, spec: Spec, place: torch.device) -> Parts:
    """All parts, ready to run one batch after the other."""
    tokenizer, network = load_first(folder, spec, device=place)
    heads = load_heads(folder, spec, device=place)
    return Parts(folder, tokenizer, network, heads, lane=Lane(place), budget=USUAL["cpu"])
