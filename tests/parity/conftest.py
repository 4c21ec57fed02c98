"""What the parity tests share: tiny checkpoints, built once, and the comparison with the oracle."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import tiny_models as tiny
import torch
from sentence_transformers import SentenceTransformer

from worker.engine import Embedder


def pytest_collection_modifyitems(items):
    for item in items:
        if "/parity/" in str(item.path):
            item.add_marker(pytest.mark.parity)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A tiny plain checkpoint of a kind, built once."""
    built = {}

    def build(kind, style="wordpiece", **changes):
        key = (kind, style, tuple(sorted(changes.items())))
        if key not in built:
            tokenizer = tiny.wordpiece() if style == "wordpiece" else tiny.bytelevel(style=style)
            built[key] = tiny.checkpoint(tmp_path_factory.mktemp(kind), kind, tokenizer, **changes)
        return built[key]

    return build


def load_oracle(folder, **options):
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, **options)


def assert_same_ids(embedder, oracle, texts, prompt=""):
    features = [oracle.tokenize([prompt + text]) for text in texts]
    wanted = [row["input_ids"][0][row["attention_mask"][0] == 1].tolist() for row in features]
    assert embedder.tokenize(texts, prompt=prompt) == wanted


def assert_same_vectors(ours, wanted, tolerance=1e-6):
    """fp32 on a CPU: batches differ, so the last bits may; relative to the length of the longest vector."""
    assert ours.dtype == np.float32
    assert ours.shape == wanted.shape
    scale = max(1.0, float(np.linalg.norm(wanted, axis=1).max()))
    assert np.abs(ours - wanted).max() <= tolerance * scale


@pytest.fixture
def agree():
    """Ids and vectors of a folder are the oracle's; gives both, for more questions."""

    def check(folder, texts=tiny.TEXTS, *, tolerance=1e-6, **call):
        embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
        assert_same_ids(embedder, oracle, texts)
        oracle_call = {"normalize_embeddings" if key == "normalize" else key: value for key, value in call.items()}
        if "dims" in oracle_call:
            oracle_call["truncate_dim"] = oracle_call.pop("dims")
        assert_same_vectors(embedder.embed(texts, **call), oracle.encode(texts, **oracle_call), tolerance)
        return embedder, oracle

    return check
