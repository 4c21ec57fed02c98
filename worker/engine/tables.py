"""First modules that look vectors up, token by token: no network, no neighbour, nothing to pad."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag

from schemas.errors import ModelError
from schemas.spec import Module
from worker.engine.features import Features, Reader
from worker.engine.streams import put
from worker.engine.token_heads import word_weights
from worker.engine.tokens import Ids, Offsets
from worker.engine.weights import read_weights


@dataclass(frozen=True, slots=True)
class _Table:
    """Vectors by token id. What becomes of them is the subclass's."""

    rows: Tensor

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.rows.device

    @property
    def padded(self) -> bool:
        """Never: texts lie end to end."""
        return False

    def describe(self) -> dict[str, str]:
        """Facts that a person asks for."""
        name = type(self).__name__.lstrip("_")
        return {"dtype": "float32", "network": name, "way": "table", "reason": "no token looks at another"}

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch."""
        raise NotImplementedError

    def _ids(self, ids: Ids) -> Tensor:
        return put(ids.astype(np.int64), self.device)


@dataclass(frozen=True, slots=True)
class _StaticEmbedding(_Table):
    """The mean of the vectors of a text's tokens; zeros where it has none."""

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch."""
        starts = put(offsets[:-1], self.device)
        return Features(ids, offsets, sentence=embedding_bag(self._ids(ids), self.rows, starts, mode="mean"))


@dataclass(frozen=True, slots=True)
class _WordEmbeddings(_Table):
    """The vector of each word."""

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch."""
        return Features(ids, offsets, tokens=embedding(self._ids(ids), self.rows))


@dataclass(frozen=True, slots=True)
class _BagOfWords(_Table):
    """As many dimensions as words: the weight of each word that is there, added up or once. `rows` are the weights."""

    cumulative: bool

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch."""
        places = put(np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), self.device)
        words, vectors = self._ids(ids), self.rows.new_zeros((len(offsets) - 1, len(self.rows)))
        vectors.index_put_((places, words), self.rows[words], accumulate=self.cumulative)
        return Features(ids, offsets, sentence=vectors)


def _load_static(place: Path, _module: Module) -> _Table:
    weights = read_weights(place)
    if "embedding.weight" in weights:
        return _StaticEmbedding(weights["embedding.weight"].float())
    if "embeddings" not in weights:
        raise ModelError(f"{place} has no embeddings, only {', '.join(weights)}", way_out="fetch the model again")
    # As model2vec saves them: many tokens may share a row, and each may have a weight.
    rows = weights["embeddings"]
    rows = rows[weights["mapping"].long()] if "mapping" in weights else rows
    rows = rows.float() * weights["weights"][:, None] if "weights" in weights else rows
    return _StaticEmbedding(rows.float().contiguous())


def _load_words(place: Path, _module: Module) -> _Table:
    return _WordEmbeddings(read_weights(place)["emb_layer.weight"].float())


def _load_bag(place: Path, module: Module) -> _Table:
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    by_word = dict(zip(config["vocab"], word_weights(place), strict=True))
    return _BagOfWords(torch.tensor(list(by_word.values())), cumulative=module.config["cumulative"])


TABLES: dict[str, Callable[[Path, Module], _Table]] = {
    "StaticEmbedding": _load_static,
    "WordEmbeddings": _load_words,
    "BoW": _load_bag,
}


def load_table(folder: Path, module: Module, device: torch.device) -> Reader:
    """The table of a first module, on its device."""
    table = TABLES[module.kind](folder / module.path, module)
    return replace(table, rows=table.rows.to(device))
