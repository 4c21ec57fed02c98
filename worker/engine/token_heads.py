"""Modules that change the vectors of tokens before pooling: weighted layers, word weights, LSTM and CNN.

Each text is treated as if it were alone, run by run of equal lengths, so that no vector depends on its neighbours.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worker.engine.features import Features, Step
from worker.engine.streams import put
from worker.engine.tokens import offsets_of, runs_of
from worker.engine.weights import fill, read_weights


@dataclass(frozen=True, slots=True)
class _WeightedLayers:
    """The weighted mean of a token's states behind each layer from `start` on."""

    weights: Tensor
    start: int

    def __call__(self, features: Features) -> Features:
        layers = torch.stack(features.layers[self.start :]).float()
        mean = torch.einsum("ltd,l->td", layers, self.weights) / self.weights.sum()
        return replace(features, tokens=mean)


@dataclass(frozen=True, slots=True)
class _WordWeights:
    """Each word's vector times its weight; the sums of weights divide later, in place of the counts of tokens."""

    weights: Tensor

    def __call__(self, features: Features) -> Features:
        device, lengths = self.weights.device, np.diff(features.offsets)
        weights = self.weights[put(features.ids.astype(np.int64), device)]
        sums = torch.zeros(len(lengths), device=device)
        sums.index_add_(0, put(np.repeat(np.arange(len(lengths)), lengths), device), weights)
        return replace(features, tokens=features.states * weights[:, None], weights=sums)


class _Lstm(nn.Module):
    """An LSTM over each text's tokens."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.encoder = nn.LSTM(
            config["in_features"],
            config["hidden"],
            num_layers=config["layers"],
            bidirectional=config["bidirectional"],
            batch_first=True,
        )

    def forward(self, texts: Tensor) -> Tensor:
        states: Tensor = self.encoder(texts)[0]
        return states


class _Cnn(nn.Module):
    """Convolutions of several widths over each text's tokens, side by side."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        shapes = zip(config["kernels"], config["strides"], strict=True)
        inner, outer = config["in_features"], config["channels"]
        self.convs = nn.ModuleList(
            nn.Conv1d(inner, outer, kernel, stride, padding=(kernel - 1) // 2) for kernel, stride in shapes
        )

    def forward(self, texts: Tensor) -> Tensor:
        turned = texts.transpose(1, 2)
        return torch.cat([conv(turned) for conv in self.convs], dim=1).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class _EachText:
    """A function of [texts, tokens, width], which may change how many tokens a text has."""

    function: Callable[[Tensor], Tensor]
    width: int

    def __call__(self, features: Features) -> Features:
        states, pieces, lengths = features.states, [], []
        for start, count, length in runs_of(features.offsets):
            run = states[start : start + count * length].view(count, length, states.shape[1])
            done = self.function(run.float()) if length else run.new_zeros((count, 0, self.width))
            pieces.append(done.reshape(-1, self.width))
            lengths += [done.shape[1]] * count
        return replace(features, tokens=torch.cat(pieces), offsets=offsets_of(np.array(lengths)))


def _load_layers(place: Path, config: dict[str, Any], device: torch.device) -> Step:
    return _WeightedLayers(read_weights(place)["layer_weights"].float().to(device), config["start"])


def _load_word_weights(place: Path, _config: dict[str, Any], device: torch.device) -> Step:
    return _WordWeights(torch.tensor(word_weights(place), device=device))


def word_weights(place: Path) -> list[float]:
    """The weight of each word of a vocabulary: its own, else its lower-case twin's, else that of unknown words."""
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    known, unknown = config["word_weights"], config.get("unknown_word_weight", 1)
    return [float(known.get(word, known.get(word.lower(), unknown))) for word in config["vocab"]]


def _load_lstm(place: Path, config: dict[str, Any], device: torch.device) -> Step:
    width = config["hidden"] * (2 if config["bidirectional"] else 1)
    return _EachText(fill(_Lstm(config), place, device), width)


def _load_cnn(place: Path, config: dict[str, Any], device: torch.device) -> Step:
    return _EachText(fill(_Cnn(config), place, device), config["channels"] * len(config["kernels"]))


TOKEN_HEADS: dict[str, Callable[[Path, dict[str, Any], torch.device], Step]] = {
    "WeightedLayerPooling": _load_layers,
    "WordWeights": _load_word_weights,
    "LSTM": _load_lstm,
    "CNN": _load_cnn,
}
