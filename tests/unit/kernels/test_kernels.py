"""The kernels against torch in double precision: any sizes, any strides, and what is not finite stays in its row."""

import stat

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from tests.unit.kernels.checks import each_float, needed, normal
from worker.engine import build
from worker.engine.build import NotBuilt
from worker.engine.kernel_layers import KernelGelu, KernelNorm, is_gelu
from worker.engine.kernels import found, kernels, why_none

KINDS = [torch.float32, torch.bfloat16]
lengths = st.lists(st.tuples(st.integers(1, 70), st.integers(1, 3)), min_size=1, max_size=4)


def states_of(runs, heads, width, *, seed=0, kind=torch.float32, swapped=True):
    """Query, key and value, [1, heads, tokens, width], lying as networks leave them, or head by head."""
    tokens = sum(count * length for _, count, length in runs)
    made = [normal(1, tokens, heads, width, seed=seed + at, kind=kind).transpose(1, 2) for at in range(3)]
    return made if swapped else [part.contiguous() for part in made]


def runs_from(lengths):
    runs, first = [], 0
    for length, count in lengths:
        runs.append((first, count, length))
        first += count * length
    return runs


def texts_of(runs):
    return [(first + at * length, first + (at + 1) * length) for first, n, length in runs for at in range(n)]


def alone(states, first, last, scale):
    text = [part[:, :, first:last].double() for part in states]
    return scaled_dot_product_attention(*text, scale=scale)[0].transpose(0, 1)


@needed
@each_float
@pytest.mark.parametrize("rough", [False, True])
@settings(max_examples=40, deadline=None)
@given(lengths=lengths, heads=st.integers(1, 3), width=st.integers(1, 40).map(lambda n: 2 * n), swapped=st.booleans())
def test_attention_is_that_over_each_text_alone(kind, rough, lengths, heads, width, swapped):
    runs = runs_from(lengths)
    states = states_of(runs, heads, width, seed=width, kind=kind, swapped=swapped)
    made = kernels()
    assert made.bears(states, runs[0][2])
    output = made.attention(states, runs, 0.3, rough=rough)
    exact = kind == torch.float32 and not rough
    for first, last in texts_of(runs):
        wanted = alone(states, first, last, 0.3)
        assert (output[first:last].double() - wanted).abs().max() < (2e-5 if exact else 5e-2)


@needed
@pytest.mark.parametrize("rough", [False, True])
def test_a_text_does_not_depend_on_its_neighbours_to_the_last_bit(own, rough):
    runs = runs_from([(33, 2), (17, 1), (5, 3)])
    states = states_of(runs, 2, 32)
    output = own.attention(states, runs, 0.2, rough=rough)
    for first, last in texts_of(runs):
        text = [part[:, :, first:last] for part in states]
        assert torch.equal(own.attention(text, [(0, 1, last - first)], 0.2, rough=rough), output[first:last])


@needed
@each_float
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_its_text(own, kind, which, wrong):
    # The first token behind a text of an odd length: pairs are of two tokens, and nothing times NaN is NaN.
    runs = runs_from([(17, 1), (7, 1), (3, 1)])
    states = states_of(runs, 1, 32, kind=kind)
    before = own.attention(states, runs, 0.2)
    states[which][0, 0, 17, 3] = wrong
    after = own.attention(states, runs, 0.2)
    assert not after[17:24].isfinite().all()
    assert torch.equal(after[:17], before[:17])
    assert torch.equal(after[24:], before[24:])


@needed
def test_very_unlike_scores_and_very_long_texts(own):
    runs = [(0, 1, 40)]
    states = [part * 60 for part in states_of(runs, 1, 32)]
    assert (own.attention(states, runs, 1.0).double() - alone(states, 0, 40, 1.0)).abs().max() < 1e-3
    assert not own.bears(states_of([(0, 1, 2049)], 1, 2), 2049)


@needed
@pytest.mark.parametrize("rough", [False, True])
def test_scores_that_are_all_far_below_zero(own, rough):
    """What fills a vector up has the score 0, and must not count as the greatest."""
    query = torch.full((1, 1, 11, 16), 30.0)
    value = normal(1, 1, 11, 16)
    output = own.attention((query, -query, value), [(0, 1, 11)], 1.0, rough=rough)
    assert (output[:, 0] - value[0, 0].mean(0)).abs().max() < (2e-2 if rough else 1e-6)


@needed
def test_what_attention_does_not_take(own):
    query, key, value = states_of([(0, 1, 4)], 2, 16)
    runs = [(0, 1, 4)]
    assert not own.bears([query, key[:, :1], value], runs[0][2])
    assert not own.bears([query, key.double(), value], runs[0][2])
    assert not own.bears([part[..., :15] for part in (query, key, value)], runs[0][2])
    assert not own.bears([part.mT.contiguous().mT for part in (query, key, value)], runs[0][2])


@needed
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), width=st.integers(2, 90), seed=st.integers(0, 99))
def test_norm_and_gelu_are_torch_s(kind, rows, width, seed):
    states = normal(rows, width, seed=seed, kind=kind) * 3 + 1
    weight, bias = normal(width, seed=seed + 1, kind=kind), normal(width, seed=seed + 2, kind=kind)
    given = [part.double() for part in (weight, bias)]
    near = {"atol": 3e-5, "rtol": 3e-5} if kind == torch.float32 else {"atol": 2e-2, "rtol": 1e-2}
    normed = kernels().layer_norm(states, weight, bias, 1e-5)
    torch.testing.assert_close(normed.double(), layer_norm(states.double(), (width,), *given, 1e-5), **near)
    torch.testing.assert_close(kernels().gelu(states).double(), gelu(states.double()), **near)


@needed
@given(width=st.integers(2, 90), seed=st.integers(0, 99))
def test_bfloat16_is_what_comes_out_in_float32_to_the_nearest(width, seed):
    own, kind = kernels(), torch.bfloat16
    states, weight, bias = (normal(2, width, seed=seed + at, kind=kind) for at in range(3))
    assert torch.equal(own.gelu(states), own.gelu(states.float()).to(kind))
    exact = own.layer_norm(states.float(), weight[0].float(), bias[0].float(), 1e-5)
    assert torch.equal(own.layer_norm(states, weight[0], bias[0], 1e-5), exact.to(kind))


@needed
def test_gelu_at_its_ends(own):
    ends = torch.tensor([-1e30, -100.0, -6.0, -1e-20, 0.0, 1e-20, 6.0, 100.0, 1e30, float("inf"), float("nan")])
    found = own.gelu(ends)
    torch.testing.assert_close(found[:9], gelu(ends[:9]), rtol=1e-6, atol=2e-7)
    assert found[9] == float("inf")
    assert found[10].isnan()
    assert not own.layer_norm(torch.tensor([[1.0, float("nan")], [1, 2]]), *torch.ones(2, 2), 1e-5)[0].isfinite().any()


@needed
def test_the_layers_do_as_torch_where_there_are_no_kernels(monkeypatch):
    norm, states = nn.LayerNorm(24), normal(3, 5, 24)
    nn.init.normal_(norm.weight)
    with torch.inference_mode():
        ours = KernelNorm(norm)(states), KernelGelu()(states)
        monkeypatch.setattr("worker.engine.kernel_layers.kernels", lambda: None)
        theirs = KernelNorm(norm)(states), KernelGelu()(states)
    assert torch.equal(theirs[0], norm(states))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_what_gelu_is_is_seen_by_its_values():
    assert is_gelu(nn.GELU())
    assert not any(
        map(is_gelu, [nn.GELU("tanh"), nn.ReLU(), nn.Identity(), nn.Dropout(), nn.Linear(97, 97), nn.LSTM(1, 1)])
    )


def test_they_are_one_thread_s(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert kernels() is None
    assert "one thread" in why_none()


def built():
    return build.built("kernels", found._SOURCES)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of nobody's, and what was found before is forgotten, before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found._found.cache_clear()
    yield tmp_path / "vecmill"
    found._found.cache_clear()


@needed
def test_a_library_is_compiled_once_and_kept(cache, monkeypatch):
    library = built()
    assert library.parent == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert list(cache.iterdir()) == [library]
    monkeypatch.setattr(build.subprocess, "run", None)
    assert built() == library
    assert kernels() is not None


@pytest.mark.parametrize(
    ("compiler", "said"), [("", "CC= is no compiler"), ("no-such-cc", "CC=no-such-cc"), ("false", "could not compile")]
)
@needed
def test_without_a_compiler_torch_does_it_and_it_is_said_why(cache, monkeypatch, compiler, said):
    monkeypatch.setenv("CC", compiler)
    assert kernels() is None
    assert said in why_none()


@needed
def test_what_somebody_else_could_have_written_is_not_taken(cache):
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(NotBuilt, match="others may write"):
        built()
    cache.chmod(0o700)
    built().chmod(0o770)
    with pytest.raises(NotBuilt, match="somebody else"):
        built()


@needed
def test_a_cache_that_cannot_be_made_is_no_cache(cache):
    cache.write_text("a file")
    with pytest.raises(NotBuilt, match="cannot be made"):
        built()


@needed
@pytest.mark.parametrize("broken", ["linear", "attention"])
def test_wrong_numbers_are_found_when_they_are_tried(cache, monkeypatch, broken):
    real = getattr(found.Kernels, broken)

    def wrong(self, *given, **more):
        return real(self, *given, **more).add_(1)

    monkeypatch.setattr(found.Kernels, broken, wrong)
    assert kernels() is None
    assert "came out wrong" in why_none()
