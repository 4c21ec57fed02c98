"""The engine on a GPU: a CPU's vectors, whichever way and whoever the neighbours; nothing waits; faults pass."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.gpu_models import texts_of
from tests.gpu.networks import SHAPES, folder_of
from worker.engine import Embedder, Engine
from worker.engine.launch import AHEAD, Lane
from worker.engine.probe import FIRST

#: Cosine to float32 on a CPU, at least.
NEAR = {"float32": 0.99999, "float16": 0.9999, "bfloat16": 0.998}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: folder_of(kind, tmp_path_factory.mktemp(kind)) for kind in SHAPES}


def texts(kind, tokens=20_000):
    return texts_of(SHAPES[kind], length=60, mixed=True, tokens=tokens)


def cosines(left, right):
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("kind", SHAPES)
def test_vectors_are_those_of_a_cpu(folders, kind, dtype):
    embedder = Embedder.load(folders[kind], device="cuda", dtype=dtype)
    facts = embedder.describe()
    assert facts["way"] == ("runs" if dtype == "float32" else "at-once"), facts["reason"]
    assert embedder.ahead == AHEAD, facts["lane"]
    wanted = Embedder.load(folders[kind], device="cpu", dtype="float32").embed(texts(kind))
    assert cosines(embedder.embed(texts(kind)), wanted).min() >= NEAR[dtype]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", SHAPES)
def test_all_at_once_is_padded(folders, kind, dtype):
    packed = Embedder.load(folders[kind], device="cuda", dtype=dtype)
    assert packed.describe()["way"] == "at-once"
    usual = Embedder.load(folders[kind], device="cuda", dtype=dtype)
    usual.parts.network.model.set_attn_implementation("sdpa")
    parts = replace(usual.parts, network=replace(usual.parts.network, way="padded"))
    padded = Embedder(parts, usual.spec)
    assert padded.padded
    assert cosines(packed.embed(texts(kind)), padded.embed(texts(kind))).min() >= NEAR[dtype]


@pytest.mark.parametrize("kind", SHAPES)
def test_a_vector_is_near_to_that_of_its_text_alone(folders, kind):
    embedder = Embedder.load(folders[kind], device="cuda", dtype="bfloat16")
    some = texts(kind)[:40]
    alone = np.concatenate([embedder.embed([text]) for text in some])
    assert cosines(embedder.embed(some), alone).min() >= NEAR["bfloat16"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", SHAPES)
def test_launching_waits_for_nothing(folders, kind, dtype):
    embedder = Embedder.load(folders[kind], device="cuda", dtype=dtype)
    tokens = embedder.tokens(sorted(texts(kind), key=len))
    order = np.argsort(tokens.lengths, kind="stable")
    # Twice before: the first calls fetch memory and choose kernels, which may wait.
    warm = [embedder.launch(*tokens.take(order)) for _ in range(2)]
    for launched in warm:
        launched.collect()
    torch.cuda.set_sync_debug_mode("error")
    try:
        flying = [embedder.launch(*tokens.take(order)) for _ in range(3)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    first, *others = [launched.collect() for launched in flying]
    assert all(np.array_equal(first, other) for other in others)


def test_what_the_last_test_forbids_does_fail(cuda):
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError):
            torch.ones(3, device=cuda).sum().item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_launched_ahead_is_one_after_the_other(folders):
    embedder = Embedder.load(folders["bert"], device="cuda", dtype="bfloat16")
    plain = Embedder(replace(embedder.parts, lane=Lane(embedder.device)), embedder.spec)
    tokens = embedder.tokens(texts("bert", 200_000))
    np.testing.assert_allclose(embedder.encode(tokens), plain.encode(tokens), atol=1e-3)


def test_many_jobs_through_the_engine(folders):
    embedder = Embedder.load(folders["bert"], device="cuda", dtype="bfloat16")
    jobs = [texts("bert", 30_000)[at::8] for at in range(8)]
    engine = Engine()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: engine.submit(embedder, embedder.tokens(job)).result(120), jobs))
    engine.close()
    for job, encoded in zip(jobs, found, strict=True):
        assert encoded.failures == {}
        assert cosines(encoded.vectors, embedder.embed(job)).min() >= NEAR["bfloat16"]


def test_out_of_memory_is_halved_and_learned_from(folders, cuda):
    embedder = Embedder.load(folders["bert"], device="cuda", dtype="float32")
    tokens = embedder.tokens(texts("bert", 1_000_000))
    wanted = embedder.encode(tokens)
    torch.cuda.empty_cache()
    most = torch.cuda.memory_allocated(cuda) + 400 * 2**20
    torch.cuda.set_per_process_memory_fraction(most / torch.cuda.get_device_properties(cuda).total_memory)
    engine = Engine(token_budget=1_000_000)
    try:
        encoded = engine.submit(embedder, tokens).result(300)
        learned = engine._budgets.of(embedder)
    finally:
        engine.close()
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert encoded.failures == {}
    assert learned < 1_000_000
    assert cosines(encoded.vectors, wanted).min() >= 0.9999


def test_the_token_budget_was_measured(folders):
    facts = Embedder.load(folders["bert"], device="cuda", dtype="bfloat16").describe()
    assert facts["token_budget"] >= FIRST
    assert "tokens a second" in facts["budget"]
