"""What the parity tests share: tiny checkpoints, built once, and the comparison with the oracle."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, load_oracle
from record import record, recorded, rows_taken_down  # noqa: F401 - fixtures

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


@pytest.fixture
def agree(record):  # noqa: F811 - the fixture, which pytest finds by its name
    """Ids and vectors of a folder are the oracle's; gives both, for more questions."""

    def check(folder, texts=tiny.TEXTS, *, tolerance=1e-6, layout="", **call):
        embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
        assert_same_ids(embedder, oracle, texts)
        oracle_call = {"normalize_embeddings" if key == "normalize" else key: value for key, value in call.items()}
        if "dims" in oracle_call:
            oracle_call["truncate_dim"] = oracle_call.pop("dims")
        wanted = oracle.encode(texts, **oracle_call)
        record(assert_same_vectors(embedder.embed(texts, **call), wanted, tolerance), layout=layout)
        return embedder, oracle

    return check
