"""Nothing of the packed path looks at what the device computes: on a GPU, each look would be a wait.

Tensors on the `meta` device have shapes and no numbers, so whatever looks at a number fails: item(), nonzero, a mask as
an index, a copy to the host. What goes to the device goes through `streams.put` alone, which pins it.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    BertConfig,
    BertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen3Config,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from worker.engine import attention, features, forward, heads, pooling, reduce, streams, tables, token_heads
from worker.engine.forward import Network
from worker.engine.pooling import POOLERS
from worker.engine.tokens import offsets_of

META = torch.device("meta")
OFFSETS = offsets_of(np.array([20, 20, 9, 3, 3]))
IDS = np.arange(int(OFFSETS[-1]), dtype=np.int32) % 90 + 5
_SMALL = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_MARKS = {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
_DECODER = {"num_key_value_heads": 2, "head_dim": 8, "use_cache": False}
PACKED = {
    "bert": lambda: BertModel(BertConfig(**_SMALL)),
    "xlm-roberta": lambda: XLMRobertaModel(XLMRobertaConfig(**_SMALL)),
    "qwen3": lambda: Qwen3Model(Qwen3Config(**_SMALL, **_DECODER)),
    "gemma3": lambda: Gemma3TextModel(Gemma3TextConfig(**_SMALL, **_DECODER, sliding_window=8)),
    "modernbert": lambda: ModernBertModel(ModernBertConfig(**_SMALL, **_MARKS, local_attention=8)),
}


class OnlyByPut(TorchDispatchMode):
    """Fails at any copy between host and device that `put` does not make, and counts those that it makes."""

    def __init__(self):
        super().__init__()
        self.putting = False
        self.copies = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        devices = {one.device.type for one in (*args, given) if isinstance(one, torch.Tensor) and one.dim()}
        if len(devices) > 1:
            assert self.putting, f"{function} goes from {devices} by itself"
            self.copies += 1
        return given


@pytest.fixture
def only_by_put(monkeypatch):
    mode, real = OnlyByPut(), streams.put

    def put(array, device):
        mode.putting = True
        try:
            return real(array, device)
        finally:
            mode.putting = False

    for module in (forward, pooling, reduce, tables, token_heads):
        monkeypatch.setattr(module, "put", put)
    with mode:
        yield mode


def network(make, way):
    with META:
        model = make().eval().to(torch.bfloat16)
    if way != "padded":
        attention.register()
        model.set_attn_implementation(attention.NAME)
    return Network(model=model, device=META, way=way, reason="", first_position=0, padding_id=0)


def finished(found, *steps, mode="mean", at_once=True):
    config = {"modes": [mode], "include_prompt": False}
    found = replace(found, prompt_length=2, at_once=at_once)
    return heads.finish(found, heads=[*steps, heads._Pooling(config)], truncate_dims=16, unit=True)


@pytest.mark.parametrize("way", ["at-once", "runs"])
@pytest.mark.parametrize("name", PACKED)
@torch.inference_mode()
def test_a_packed_forward_pass_looks_at_nothing(only_by_put, name, way):
    vectors = finished(network(PACKED[name], way).features(IDS, OFFSETS))
    assert (vectors.shape, vectors.dtype, vectors.device) == ((5, 16), torch.float32, META)
    assert only_by_put.copies <= 5


@torch.inference_mode()
def test_what_is_ours_of_a_padded_forward_pass_looks_at_nothing(only_by_put):
    # transformers looks whether there is padding at all, where it makes a mask.
    class Plain(BertModel):
        def forward(self, input_ids, attention_mask):
            return SimpleNamespace(last_hidden_state=self.embeddings(input_ids) * attention_mask[..., None])

    found = network(lambda: Plain(BertConfig(**_SMALL)), "padded").features(IDS, OFFSETS)
    assert found.states.shape == (len(IDS), 32)
    assert finished(found).shape == (5, 16)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("mode", POOLERS)
@torch.inference_mode()
def test_no_pooling_looks_at_anything(only_by_put, mode, at_once):
    states = torch.empty(len(IDS), 32, dtype=torch.bfloat16, device=META)
    steps = [token_heads._WordWeights(torch.empty(100, device=META))]
    for some in ([], steps):
        found = features.Features(IDS, OFFSETS, tokens=states)
        assert finished(found, *some, mode=mode, at_once=at_once).shape == (5, 16)


@pytest.mark.parametrize("kind", [tables._StaticEmbedding, tables._WordEmbeddings])
@torch.inference_mode()
def test_no_table_looks_at_anything(only_by_put, kind):
    found = kind(torch.empty(100, 32, device=META)).features(IDS, OFFSETS)
    assert (found.tokens if found.sentence is None else found.sentence).device == META


def test_what_this_file_forbids_does_fail(only_by_put):
    states = torch.empty(4, 3, device=META)
    for look in (lambda: states.max().item(), lambda: states[states[:, 0] > 0], lambda: states.cpu()):
        with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
            look()
    with pytest.raises(AssertionError, match="by itself"):
        torch.ones(4).to(META)
