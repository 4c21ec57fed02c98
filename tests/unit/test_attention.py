"""Both kernels of the packed attention give what attention over each text alone gives."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.engine import attention
from worker.engine.tokens import offsets_of, runs_of

LENGTHS = np.array([9, 9, 6, 2, 2, 1])


class Layer:
    def __init__(self, *, causal):
        self.is_causal = causal


def alone(query, key, value, *, causal, window, scale):
    """One text, [1, heads, tokens, width], with its mask written out."""
    places = torch.arange(query.shape[2])
    distance = places[:, None] - places[None]
    seen = distance.abs() < (window or 10**6)
    seen = seen & (distance >= 0) if causal else seen
    repeat = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    return scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scale).transpose(1, 2)


def fake_kernel(q, k, v, bounds_q, *others, scale, window_size, **switches):
    """The GPU kernel's contract on a CPU: [tokens, heads, width], bounds, window (left, right), -1 for no end."""
    assert bounds_q.dtype == torch.int32
    bounds_k, *longest = others
    assert bounds_k is bounds_q
    assert longest == [int(bounds_q.diff().max())] * 2
    assert switches == {"enable_gqa": q.shape[1] != k.shape[1], "num_splits": 1}
    left, right = window_size
    outputs = []
    for begin, end in pairwise(bounds_q.tolist()):
        places = torch.arange(end - begin)
        distance = places[:, None] - places[None]
        seen = (distance <= (left if left >= 0 else 10**6)) & (-distance <= (right if right >= 0 else 10**6))
        repeat = q.shape[1] // k.shape[1]
        text = [states[begin:end].transpose(0, 1)[None] for states in (q, k, v)]
        text[1:] = [states.repeat_interleave(repeat, 1) for states in text[1:]]
        outputs.append(scaled_dot_product_attention(*text, attn_mask=seen, scale=scale)[0].transpose(0, 1))
    return torch.cat(outputs)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_packed_is_alone(monkeypatch, at_once, causal, window, key_heads, scale):
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", fake_kernel)
    offsets = offsets_of(LENGTHS)
    torch.manual_seed(0)
    # As networks hand them over: [1, tokens, heads, width] with two axes swapped.
    states = [torch.randn(1, int(offsets[-1]), heads, 8).transpose(1, 2) for heads in (4, key_heads, key_heads)]
    layout = attention.Layout(runs_of(offsets), torch.from_numpy(offsets).int() if at_once else None)
    packed, weights = attention.packed_attention(
        Layer(causal=causal), *states, None, packed_layout=layout, sliding_window=window, scaling=scale
    )
    assert weights is None
    for begin, end in pairwise(offsets):
        text = [part[:, :, begin:end] for part in states]
        wanted = alone(*text, causal=causal, window=window, scale=scale)
        assert (packed[:, begin:end] - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("count", [1, 3])
def test_products_in_bfloat16_give_what_one_call_gives(count):
    heads, length, width = 4, 7, 8
    generator = torch.Generator().manual_seed(count)
    states = [torch.randn(1, heads, count * length, width, generator=generator).to(torch.bfloat16) for _ in range(3)]
    kind = attention.Kind(causal=False, window=None, scale=0.3, grouped=False)
    assert attention._by_products(states[0], length, kind)
    found = attention._one_run(*states, (0, count, length), kind)
    texts = [[part[:, :, at : at + length] for part in states] for at in range(0, count * length, length)]
    wanted = torch.cat([alone(*text, causal=False, window=None, scale=0.3)[0] for text in texts])
    torch.testing.assert_close(found, wanted, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("length", [1, 8, 16, 30, 32, 60, 64, 99, 100, 130])
def test_softmax_in_bfloat16_is_within_its_rounding_at_any_length(length):
    torch.manual_seed(length)
    scores = (torch.randn(6, length, length) * 8).bfloat16()
    exact = scores.double().softmax(-1)
    assert ((attention._softmax(scores).double() - exact).abs() <= exact * 2**-8 + 1e-30).all()
