"""How near vectors are to those of sentence-transformers in float32, and whether a search finds the same."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from producer import read

Vectors = npt.NDArray[np.float32]
#: So many of the texts are looked for among the others.
QUERIES, NEAREST = 200, 10


def vectors_of(out: Path) -> tuple[list[str], Vectors]:
    """The ids and float32 [n, d], from a table of Vecmill's or a peer's file."""
    if out.is_dir():
        return read(str(out))
    found = pq.read_table(out, columns=["id", "embedding"]).combine_chunks()
    return found["id"].to_pylist(), pc.list_flatten(found["embedding"]).to_numpy().reshape(len(found), -1)


def compare(vectors: Vectors, reference: Vectors) -> dict[str, Any]:
    """Cosines, how far norms are from 1, and the share of the ten nearest that are the same."""
    norms = np.linalg.norm(vectors, axis=1)
    cosines = (vectors * reference).sum(1) / (norms * np.linalg.norm(reference, axis=1))
    pairs = zip(nearest(vectors), nearest(reference), strict=True)
    return {
        "cosine_mean": float(cosines.mean()),
        "cosine_least": float(cosines.min()),
        "norm_error": float(np.abs(norms - 1).max()),
        "same_nearest": float(np.mean([len(np.intersect1d(*pair)) / NEAREST for pair in pairs])),
    }


def nearest(vectors: Vectors) -> npt.NDArray[np.int64]:
    """The ten nearest of the other texts for each of the first."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # Every so manieth, so that queries and texts come from the same packages.
    step = max(len(unit) // QUERIES, 2)
    others = np.delete(unit, np.s_[::step], axis=0)
    order: npt.NDArray[np.int64] = np.argsort(-(unit[::step] @ others.T), axis=1, kind="stable")[:, :NEAREST]
    return order


def keep(vectors: Vectors, path: Path) -> None:
    """Vectors that others are compared with."""
    np.save(path, vectors)


def kept(path: Path) -> Vectors:
    """Those vectors again."""
    found: Vectors = np.load(path)
    return found
