"""Which numbers `auto` computes in: what is faster when tried, not what there are instructions for."""

import pytest
import torch
from torch import nn

from worker.engine import device
from worker.engine.device import about_bfloat16, gains_by_bfloat16, pick_dtype

CPU = torch.device("cpu")


@pytest.fixture
def cpu(monkeypatch):
    """Lets the CPU have instructions for bfloat16, or none, and a time of a product by the kind of its numbers."""

    def put(*, instructions: bool, times: dict[torch.dtype, float] | None = None) -> list[torch.dtype]:
        tried: list[torch.dtype] = []

        def seconds(layer):
            assert times is not None, "nothing is to be tried"
            tried.append(layer.weight.dtype)
            return times[layer.weight.dtype] * (100 if len(tried) == 1 else 1)  # something else took the core at first

        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        # A CPU without the instructions lays out no weights of theirs.
        monkeypatch.setattr(device, "_layer", lambda kind: nn.Linear(1, 1, dtype=kind))
        monkeypatch.setattr(device, "_seconds", seconds)
        device.bfloat16_speed.cache_clear()
        return tried

    yield put
    device.bfloat16_speed.cache_clear()


@pytest.mark.parametrize(
    ("halves", "picked", "told"), [(1.0, torch.bfloat16, "2.0 times"), (4.0, torch.float32, "0.5 times")]
)
def test_auto_is_what_multiplies_faster(cpu, halves, picked, told):
    tried = cpu(instructions=True, times={torch.float32: 2.0, torch.bfloat16: halves})
    assert [pick_dtype("auto", CPU) for _ in range(3)] == [picked] * 3
    assert gains_by_bfloat16(CPU) == (picked == torch.bfloat16)
    assert told in about_bfloat16(CPU)
    assert tried.count(torch.float32) == tried.count(torch.bfloat16) == len(tried) / 2
    assert len(tried) < 20, "it is measured once"


def test_without_instructions_nothing_is_tried(cpu):
    cpu(instructions=False)
    assert pick_dtype("auto", CPU) == torch.float32
    assert about_bfloat16(CPU) == "this device has no instructions for bfloat16"


def test_what_is_asked_for_is_taken_as_it_is(cpu):
    cpu(instructions=True)
    assert pick_dtype("bfloat16", CPU) == torch.bfloat16
    assert pick_dtype("float32", CPU) == torch.float32


def test_where_none_can_be_tried_it_is_float32(cpu, monkeypatch):
    def refuse(kind):
        raise RuntimeError("bf16 path needs another CPU")

    cpu(instructions=True)
    monkeypatch.setattr(device, "_layer", refuse)
    assert pick_dtype("auto", CPU) == torch.float32


@pytest.mark.skipif(not device.computes_bfloat16(CPU), reason="this CPU has no instructions for bfloat16")
def test_this_cpu_takes_some_time_for_either_and_keeps_its_threads():
    device.bfloat16_speed.cache_clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert 0.01 < device.bfloat16_speed() < 100
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
