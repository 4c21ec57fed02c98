"""`--dtype int8` against float32 on a CPU: nearness, order of a search, speed. all-MiniLM-L6-v2, docstrings.

    python -m benchmarks.integers

Both encode the same tokens in turn in one process, one thread; the speed is the median of the ratios of neighbours,
since other work on the machine disturbs both alike. The last line of stdout is one JSON object.
"""

import json
import time

import numpy as np
import torch

from benchmarks import machine
from benchmarks.docstrings import docstring_table
from benchmarks.throughput import model_folder
from worker.engine import Embedder
from worker.engine.tokens import Tokens, Vectors

TEXTS, QUERIES, NEAREST, TURNS = 500, 120, 10, 5


def main() -> None:
    torch.set_num_threads(1)
    plain, integers = (Embedder.load(model_folder(), dtype=dtype) for dtype in ("float32", "int8"))
    every = docstring_table(TEXTS * 5)["text"].to_pylist()[::5]
    tokens = plain.tokens(every)
    left, right = plain.encode(tokens), integers.encode(tokens)
    cosines = (left * right).sum(axis=1)
    pairs = zip(_nearest(left), _nearest(right), strict=True)
    overlap = np.mean([len(np.intersect1d(one, other)) / NEAREST for one, other in pairs])
    ratios = [_seconds(plain, tokens) / _seconds(integers, tokens) for _ in range(TURNS)]
    facts = {
        "texts": len(every),
        "cosine_mean": round(float(cosines.mean()), 5),
        "cosine_least": round(float(cosines.min()), 5),
        "top10_overlap": round(float(overlap), 3),
        "speed": round(float(np.median(ratios)), 2),
        "speeds": [round(ratio, 2) for ratio in sorted(ratios)],
        "layers": integers.describe()["integers"],
    }
    print(json.dumps(facts | machine.facts()))


def _nearest(vectors: Vectors) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    order: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.argsort(
        -(vectors[:QUERIES] @ vectors[QUERIES:].T), axis=1, kind="stable"
    )[:, :NEAREST]
    return order


def _seconds(embedder: Embedder, tokens: Tokens) -> float:
    began = time.perf_counter()
    embedder.encode(tokens)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
