"""Quantized vectors are the oracle's, code for code, and do not depend on their neighbours."""

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from parity_checks import load_oracle
from sentence_transformers.util.quantization import quantize_embeddings

from schemas.errors import VecmillError
from schemas.store import CALIBRATED, PACKED, Ranges, codes, hamming, packed, values, width
from worker.engine import Embedder

QUANTIZED = [*CALIBRATED, *PACKED]
NUMBERS = st.floats(-100, 100, width=32)
BLOCKS = arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 20)), elements=NUMBERS)


@settings(deadline=None)
@given(BLOCKS, st.sampled_from(QUANTIZED), st.integers(1, 6))
def test_codes_are_the_oracles_with_the_same_ranges(block, store, calibrated):
    ranges = Ranges.of(block[:calibrated])
    wanted = quantize_embeddings(block, store, ranges=ranges.array())
    ours = codes(block, store, ranges)
    assert (ours.dtype, ours.shape) == (wanted.dtype, (len(block), width(store, block.shape[1])))
    assert np.array_equal(ours, wanted)


@settings(deadline=None)
@given(BLOCKS, st.sampled_from(QUANTIZED))
def test_a_code_depends_on_its_own_vector_only(block, store):
    ranges = Ranges.of(block)
    assert np.array_equal(
        codes(block, store, ranges), np.concatenate([codes(row[None], store, ranges) for row in block])
    )


@settings(deadline=None)
@given(BLOCKS, st.sampled_from(CALIBRATED))
def test_a_value_within_the_ranges_is_at_most_half_a_step_off(block, store):
    ranges = Ranges.of(block)
    assert Ranges.model_validate_json(ranges.model_dump_json()) == ranges
    assert np.array_equal(ranges.array(), [block.min(0), block.max(0)])
    step = (block.max(0) - block.min(0)) / 255
    again = values(codes(block, store, ranges), store, ranges)
    assert again.dtype == np.float32
    assert (np.abs(again - block) <= step * 0.51 + 2e-5).all()
    assert (again <= block.max(0)).all()


@settings(deadline=None)
@given(BLOCKS, st.sampled_from(PACKED))
def test_hamming_counts_the_signs_that_differ(block, store):
    bits = packed(codes(block, store, None), store)
    wanted = ((block > 0) != (block[0] > 0)).sum(axis=1)
    assert hamming(bits, np.packbits(block[0] > 0)).tolist() == wanted.tolist()


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    return tiny.saved(tmp_path_factory.mktemp("stores") / "m", base("bert"))


@pytest.mark.parametrize("store", QUANTIZED)
def test_embed_gives_what_the_oracle_makes_of_its_own_vectors(folder, store):
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    vectors = oracle.encode(tiny.TEXTS)
    # Wider than the vectors: their own ends would lie on the edges of buckets, where the last bit decides.
    ranges = Ranges.of(vectors[::2] * 1.01)
    ours = embedder.embed(tiny.TEXTS, store=store, ranges=ranges if store in CALIBRATED else None)
    wanted = quantize_embeddings(vectors, store, ranges=ranges.array())
    assert ours.dtype == wanted.dtype
    if store in PACKED:
        assert np.array_equal(ours, wanted)
    else:
        assert np.abs(ours.astype(int) - wanted).max() <= 1
        assert (ours != wanted).mean() < 0.003


def test_embed_rounds_and_refuses_to_guess_ranges(folder):
    embedder = Embedder.load(folder, dtype="float32")
    exact = embedder.embed(tiny.TEXTS)
    half = embedder.embed(tiny.TEXTS, store="float16")
    assert half.dtype == np.float32
    assert np.array_equal(half, exact.astype(np.float16).astype(np.float32))
    for store in CALIBRATED:
        with pytest.raises(VecmillError, match="ranges"):
            embedder.embed(tiny.TEXTS, store=store)
