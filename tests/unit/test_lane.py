"""Batches over a GPU's streams, with a fake of them: a copy has its numbers once its event was waited for."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from worker.engine import streams
from worker.engine.launch import AHEAD, Lane, decide_lane

CUDA = torch.device("cuda", 0)


class FakeCuda:
    """The calls of torch.cuda that `streams` makes, in order; work on a stream happens when it is waited for."""

    def __init__(self):
        self.calls = []
        self.current = "computing"
        self.lost = False

    def Stream(self, device):
        name = f"side {len([call for call in self.calls if call[0] == 'stream'])}"
        self.calls.append(("stream", name))
        return SimpleNamespace(name=name, wait_stream=lambda other: self.calls.append(("waits", name, other.name)))

    def current_stream(self, device):
        return SimpleNamespace(
            name="computing", wait_stream=lambda other: self.calls.append(("waits", "computing", other.name))
        )

    @contextmanager
    def stream(self, side):
        before, self.current = self.current, side.name
        yield
        self.current = before

    def Event(self, *, blocking):
        assert blocking
        return SimpleNamespace(
            record=lambda side: self.calls.append(("recorded", side.name)),
            synchronize=lambda: self.calls.append(("synchronized",)),
        )

    def synchronize(self, device):
        self.calls.append(("device",))
        if self.lost:
            raise torch.AcceleratorError("lost")


class Vectors:
    """What a forward pass gives on the device."""

    device, shape = CUDA, (2, 3)

    def __init__(self, cuda):
        self.cuda = cuda

    def record_stream(self, side):
        self.cuda.calls.append(("kept for", side.name))

    def cpu(self):
        self.cuda.calls.append(("device",))
        return torch.ones(2, 3)


@pytest.fixture
def cuda(monkeypatch):
    fake = FakeCuda()
    for name in ("Stream", "current_stream", "stream", "Event", "synchronize"):
        monkeypatch.setattr(f"torch.cuda.{name}", getattr(fake, name))
    streams._side.cache_clear()

    class Host:
        def copy_(self, vectors, *, non_blocking):
            assert non_blocking
            fake.calls.append(("copied on", fake.current))

        def numpy(self):
            assert ("synchronized",) in fake.calls
            return np.ones((2, 3), dtype=np.float32)

    def empty(shape, *, dtype, pin_memory):
        assert (shape, dtype, pin_memory) == ((2, 3), torch.float32, True)
        return Host()

    monkeypatch.setattr("torch.empty", empty)
    yield fake
    streams._side.cache_clear()


def test_a_batch_comes_back_on_a_stream_of_its_own_behind_what_computes_it(cuda):
    flying = Lane(CUDA, AHEAD).launch(lambda ids, offsets, at_once: Vectors(cuda), None, None)
    side = "side 0"
    assert cuda.calls == [
        ("stream", side), ("waits", side, "computing"), ("copied on", side), ("kept for", side), ("recorded", side),
    ]  # fmt: skip
    assert flying.collect().tolist() == [[1.0] * 3] * 2
    assert cuda.calls[5:] == [("synchronized",)]


def test_a_host_array_goes_to_the_device_pinned_and_is_waited_for_there_alone(cuda, monkeypatch):
    there = SimpleNamespace(record_stream=lambda other: cuda.calls.append(("kept for", other.name)))

    def to(device, *, non_blocking):
        assert non_blocking
        cuda.calls.append(("copied on", cuda.current))
        return there

    tensor = SimpleNamespace(pin_memory=lambda: SimpleNamespace(to=to))
    monkeypatch.setattr("torch.from_numpy", lambda array: tensor)
    assert streams.put(np.zeros(3), CUDA) is there
    assert cuda.calls == [
        ("stream", "side 0"), ("copied on", "side 0"), ("waits", "computing", "side 0"), ("kept for", "computing"),
    ]  # fmt: skip


@pytest.mark.parametrize("ahead", [0, AHEAD])
@pytest.mark.parametrize("lost", [False, True])
def test_an_error_of_a_lost_device_is_told_from_one_of_a_batch(cuda, ahead, lost):
    def forward(ids, offsets, at_once=False):
        raise RuntimeError("cublas gave up")

    cuda.lost = lost
    with pytest.raises(torch.AcceleratorError if lost else RuntimeError, match="lost" if lost else "gave up"):
        Lane(CUDA, ahead).launch(forward, None, None)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_an_error_that_says_what_it_is_needs_no_look_at_the_device(cuda, error):
    def forward(ids, offsets, at_once=False):
        raise error("said")

    with pytest.raises(error, match="said"):
        Lane(CUDA, AHEAD).launch(forward, None, None)
    assert cuda.calls == []


def vectors(shift=0.0):
    return np.eye(3, dtype=np.float32) + np.float32(shift)


def test_a_lane_is_taken_where_it_gives_the_same():
    lane = decide_lane(CUDA, lambda lane: vectors())
    assert (lane.ahead, lane.describe()["lane"]) == (
        AHEAD,
        "up to 2 launched ahead; equal to one after the other when tried",
    )
    assert decide_lane(torch.device("cpu"), lambda lane: pytest.fail("not asked")) == Lane(torch.device("cpu"))


@pytest.mark.parametrize("wrong", [0.01, np.nan])
def test_a_lane_that_gives_something_else_is_not_taken(wrong):
    lane = decide_lane(CUDA, lambda lane: vectors(wrong if lane.ahead else 0.0))
    assert lane.ahead == 0
    assert "one after the other; launching ahead is not usable: vectors differ" in lane.describe()["lane"]


def test_a_lane_that_raises_is_not_taken_and_a_lost_device_is_no_lane():
    def encode(lane):
        if lane.ahead:
            raise error("kernel\n  missing")
        return vectors()

    error = NotImplementedError
    lane = decide_lane(CUDA, encode)
    assert (lane.ahead, lane.reason) == (0, "launching ahead is not usable: NotImplementedError: kernel missing")
    error = torch.AcceleratorError
    with pytest.raises(torch.AcceleratorError):
        decide_lane(CUDA, encode)
