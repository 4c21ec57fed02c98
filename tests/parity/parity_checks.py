"""The oracle, and what it means to agree with it."""

import numpy as np
import torch
from sentence_transformers import SentenceTransformer


def load_oracle(folder, **options):
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, **options)


def assert_same_ids(embedder, oracle, texts, prompt=""):
    features = [oracle.tokenize([prompt + text]) for text in texts]
    wanted = [row["input_ids"][0][row["attention_mask"][0] == 1].tolist() for row in features]
    assert embedder.tokenize(texts, prompt=prompt) == wanted


def assert_same_vectors(ours, wanted, tolerance=1e-6):
    """fp32 on a CPU: batches differ, so the last bits may; relative to the length of the longest vector.

    Gives the largest difference.
    """
    assert ours.dtype == np.float32
    assert ours.shape == wanted.shape
    scale = max(1.0, float(np.linalg.norm(wanted, axis=1).max()))
    largest = float(np.abs(ours - wanted).max()) / scale
    assert largest <= tolerance
    return largest


def cosines(left, right):
    return (left * right).sum(1) / np.maximum(np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1), 1e-12)
