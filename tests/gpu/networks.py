"""Small networks with random weights, as large as a GPU's kernels want them, each a folder that the engine loads."""

import torch
from transformers import (
    BertConfig,
    BertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen3Config,
    Qwen3Model,
)

from benchmarks.gpu_models import Shape, write_model

_COMMON = {
    "vocab_size": 2000, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512,
    "max_position_embeddings": 512, "pad_token_id": 0,
}  # fmt: skip
_MARKS = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 64, "use_cache": False}
#: Sees all; earlier tokens only, with grouped heads; near ones only in some layers; both of the last.
SHAPES = {
    "bert": Shape("bert", lambda: BertModel(BertConfig(**_COMMON), add_pooling_layer=False), "mean", 2),
    "qwen3": Shape("qwen3", lambda: Qwen3Model(Qwen3Config(**_COMMON, **_GROUPED)), "lasttoken", 1),
    "modernbert": Shape(
        "modernbert", lambda: ModernBertModel(ModernBertConfig(**_COMMON, **_MARKS, local_attention=32)), "cls", 2
    ),
    "gemma3": Shape(
        "gemma3", lambda: Gemma3TextModel(Gemma3TextConfig(**_COMMON, **_GROUPED, sliding_window=32)), "mean", 2
    ),
}


def folder_of(kind, place):
    """A sentence-transformers folder, in float32."""
    return write_model(SHAPES[kind], place, torch.float32)
