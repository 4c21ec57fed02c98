"""Models of public shapes with random weights, and texts of known lengths for them: no download, the same speed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
#: Words of the texts; as many as the small vocabulary has room for.
_WORDS = 900
_LONGEST = 512
#: So many that hardly any two texts are the same: such are encoded once.
_DRAWN = 2_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A network's public shape: what makes it, how its tokens become a vector, how many tokens mark a text's ends."""

    name: str
    make: Callable[[], Any]
    pooling: str
    ends: int


def _bert(name: str, width: int, layers: int, heads: int, pooling: str) -> Shape:
    config = BertConfig(
        vocab_size=30522, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width, max_position_embeddings=_LONGEST,
    )  # fmt: skip
    return Shape(name, lambda: BertModel(config, add_pooling_layer=False), pooling, 2)


def _qwen(name: str, width: int, layers: int, heads: int, vocabulary: int) -> Shape:
    config = Qwen3Config(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads // 2, head_dim=2 * width // heads, intermediate_size=3 * width, use_cache=False,
        max_position_embeddings=32768, tie_word_embeddings=True,
    )  # fmt: skip
    return Shape(name, lambda: Qwen3Model(config), "lasttoken", 1)


SHAPES = (
    _bert("bge-small", 384, 12, 12, "cls"),
    _bert("BERT-base", 768, 12, 12, "mean"),
    _bert("bge-large", 1024, 24, 16, "cls"),
    _qwen("Qwen3-Embedding-0.6B", 1024, 28, 16, 151669),
)
SMALL = (_bert("tiny BERT", 64, 2, 4, "mean"), _qwen("tiny Qwen3", 64, 2, 4, 2000))


def write_model(shape: Shape, folder: Path, dtype: torch.dtype) -> Path:
    """A sentence-transformers folder of that shape."""
    torch.manual_seed(0)
    shape.make().to(dtype).save_pretrained(folder)
    _tokenizer(shape).save_pretrained(folder)
    kinds = ["Transformer", "Pooling", "Normalize"]
    listed = [
        {
            "idx": at,
            "name": str(at),
            "path": f"{at}_{kind}" if at else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for at, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": _LONGEST, "do_lower_case": False}))
    for kind in ("1_Pooling", "2_Normalize"):
        (folder / kind).mkdir()
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    modes = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "lasttoken": "pooling_mode_lasttoken"}
    pooling = {"word_embedding_dimension": width} | {name: mode == shape.pooling for mode, name in modes.items()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def _tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    """BERT's steps over words that are a token each, so that a text's tokens are known."""
    words = [*_SPECIAL, *(f"w{number}" for number in range(_WORDS))]
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]" if shape.ends == 2 else "$A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]"}
    given = {f"{name}_token": text for name, text in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=_LONGEST, **given)


def texts_of(shape: Shape, *, length: int, mixed: bool, tokens: int) -> list[str]:
    """So many tokens in all: texts of one length, or of a mix around it as corpora have, none longer than 512."""
    rng = np.random.default_rng(length)
    count = max(1, tokens // length)
    lengths = np.full(count, length)
    if mixed:
        drawn = rng.lognormal(0.0, 0.7, size=count)
        lengths = np.clip((drawn * length / drawn.mean()).astype(int), shape.ends + 1, _LONGEST)
    # Pieces of one long row of words: to draw each text's own would take longer than to encode it.
    words = [f"w{number}" for number in rng.integers(0, _WORDS, size=_DRAWN).tolist()]
    starts = rng.integers(0, _DRAWN - _LONGEST, size=count).tolist()
    pieces = zip(starts, lengths.tolist(), strict=True)
    return [" ".join(words[start : start + one - shape.ends]) for start, one in pieces]


def flops_per_token(folder: Path, mean_square: float, mean: float) -> float:
    """Of the matrix products: 2 for each weight that is no embedding, and attention by the texts' lengths."""
    config = json.loads((folder / "config.json").read_text())
    width, layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
    inner = heads * config.get("head_dim", width // heads)
    causal = config["model_type"] == "qwen3"
    shared = config.get("num_key_value_heads", heads) / heads
    products = width * inner * (2 + 2 * shared) + width * config["intermediate_size"] * (3 if causal else 2)
    attention = 4 * inner * (mean_square / mean) * (0.5 if causal else 1.0)
    return float(layers * (2 * products + attention))
