"""A linear layer in integers, by oneDNN: against integer arithmetic, row by row, and at the edges of its numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from schemas.errors import ModelError
from worker.engine import int8
from worker.engine.device import pick_dtype
from worker.engine.int8 import Int8Linear, quantized_rows, quantized_weights, weight_most

sizes = st.integers(1, 70)


def linear(inputs, outputs, *, seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias)


def rows_of(count, width, *, seed=0):
    """Rows of very unlike size."""
    torch.manual_seed(seed)
    return torch.randn(count, width) * 10.0 ** torch.randint(-6, 6, (count, 1))


@torch.inference_mode()
def by_arithmetic(layer, rows):
    """What the layer should give, with numpy's integers."""
    levels, scales = quantized_rows(rows)
    weights, channels = quantized_weights(layer.weight, weight_most())
    sums = (levels[: len(rows)].numpy().astype(np.int32) - 128) @ weights.numpy().astype(np.int32).T
    output = torch.from_numpy(sums).float() * channels * scales
    return output if layer.bias is None else output + layer.bias


@settings(max_examples=60, deadline=None)
@given(count=sizes, inputs=sizes, outputs=sizes, bias=st.booleans(), seed=st.integers(0, 99))
def test_it_is_integer_arithmetic_in_any_shape(count, inputs, outputs, bias, seed):
    layer, rows = linear(inputs, outputs, seed=seed, bias=bias), rows_of(count, inputs, seed=seed)
    with torch.inference_mode():
        assert torch.equal(Int8Linear(layer)(rows), by_arithmetic(layer, rows))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 200), inputs=sizes, outputs=sizes, seed=st.integers(0, 99))
def test_a_row_does_not_depend_on_its_neighbours(count, inputs, outputs, seed):
    layer, rows = Int8Linear(linear(inputs, outputs, seed=seed)), rows_of(count, inputs, seed=seed)
    with torch.inference_mode():
        alone = torch.cat([layer(row[None]) for row in rows[:9]])
        assert torch.equal(layer(rows)[:9], alone)
        assert torch.equal(layer(rows[None])[0], layer(rows))


def test_the_greatest_numbers_are_not_cut_off():
    layer = linear(4096, 2, bias=False)
    layer.weight = nn.Parameter(torch.tensor([[1.0], [-1.0]]).expand(2, 4096).contiguous())
    with torch.inference_mode():
        output = Int8Linear(layer)(torch.tensor([[1.0], [-1.0]]).expand(2, 4096))
    assert output == pytest.approx(np.array([[4096.0, -4096.0], [-4096.0, 4096.0]]), rel=1e-6)


def test_rows_of_zeros_outliers_and_no_rows():
    layer = linear(8, 3)
    small, huge, zeros = torch.full((8,), 1e-3), torch.full((8,), 1e30), torch.zeros(8)
    with torch.inference_mode():
        output = Int8Linear(layer)(torch.stack([small, huge, zeros, torch.full((8,), 1e-38)]))
        assert output[0] == pytest.approx(layer(small).numpy(), abs=1e-4)
        assert output[1] == pytest.approx(layer(huge).numpy(), rel=5e-2)
        assert torch.equal(output[2], layer.bias)
        assert output[3] == pytest.approx(layer.bias.numpy(), abs=1e-6)
        assert Int8Linear(layer)(torch.empty(1, 0, 8)).shape == (1, 0, 3)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_so_and_in_its_row(wrong):
    layer, rows = Int8Linear(linear(8, 3)), rows_of(3, 8)
    with torch.inference_mode():
        before = layer(rows)
        rows[1, 4] = wrong
        after = layer(rows)
    assert not after[1].isfinite().any()
    assert torch.equal(after[::2], before[::2])


@pytest.fixture
def cut_off(monkeypatch):
    """Lets the kernel cut its sums off at a limit; what was found of the real one is forgotten, before and after."""
    kernel = torch.ops.onednn.qlinear_pointwise
    weight_most.cache_clear()
    yield lambda limit: monkeypatch.setattr(
        torch.ops.onednn, "qlinear_pointwise", lambda *args: kernel(*args).clamp(max=limit)
    )
    weight_most.cache_clear()


def test_weights_have_as_many_levels_as_the_kernel_sums_exactly(cut_off):
    assert weight_most() in int8.WEIGHT_MOSTS
    weight_most.cache_clear()
    cut_off(64 * int8.INPUT_MOST * 63)
    assert weight_most() == 63


def test_a_kernel_that_cuts_all_sums_off_is_refused(cut_off):
    cut_off(100_000)
    with pytest.raises(RuntimeError, match="not exact"):
        weight_most()


def test_only_on_a_cpu():
    assert pick_dtype("int8", torch.device("cpu")) == torch.float32
    with pytest.raises(ModelError, match="CPU only") as refusal:
        pick_dtype("int8", torch.device("meta"))
    assert "--device cpu" in refusal.value.way_out
