"""Which way a network goes is tried sharply enough in half precision, and the trial leaves its weights as they were."""

import pytest
import torch
from torch import nn
from transformers import BertModel

from worker.engine import Embedder, trial


@pytest.mark.parametrize(("kind", "style", "padded"), [("t5", "roberta", True), ("bert", "wordpiece", False)])
def test_a_way_that_half_precision_would_hide_is_found(base, kind, style, padded):
    # What a T5 adds by distance is far below bfloat16's tolerance here, and wrong where texts lie end to end.
    exact, rounded = (Embedder.load(base(kind, style), dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert exact.padded == rounded.padded == padded


def test_a_network_that_does_not_run_in_float32_is_padded(base, monkeypatch):
    def in_bfloat16_only(self, *args, **kwargs):
        assert self.dtype == torch.bfloat16
        return forward(self, *args, **kwargs)

    forward = BertModel.forward
    monkeypatch.setattr(BertModel, "forward", in_bfloat16_only)
    embedder = Embedder.load(base("bert"), dtype="bfloat16")
    assert embedder.padded
    assert "cannot be tried in float32" in embedder.describe()["reason"]


def test_in_float32_meanwhile_and_then_again_what_it_was():
    model = nn.Sequential(nn.Linear(4, 3).bfloat16(), nn.BatchNorm1d(3))
    before = {name: (value.dtype, value.data_ptr()) for name, value in model.state_dict().items()}
    with trial._in_float32(model):
        assert torch.float32 == model[0].weight.dtype == model[0].bias.dtype
    assert {name: (value.dtype, value.data_ptr()) for name, value in model.state_dict().items()} == before
