"""Small models with real tokenizers, saved by sentence-transformers itself; their weights are drawn wide.

With the usual narrow weights all vectors of a random network look alike, and a wrong pooling would
pass for a right one.
"""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    T5Gemma2ForConditionalGeneration,
)

WIDTH = 32
TEXTS = [
    "The mill grinds what the field gives, and the baker waits.",
    "a",
    "",
    " ",
    "\n\t",
    "  leading and trailing  ",
    "Two words",
    "Words two",
    "Numbers 12345 and symbols #$%&!",
    "为这个句子生成表示以用于检索相关文章：面包和水。",
    "日本語のテキスト、短い。",
    "emoji 👩‍👩‍👧 and e\u0301 accents é",
    "שלום עולם",
    "spelled out [SEP] </s> <s> <pad> [PAD] <|endoftext|>",
    "The mill grinds what the field gives, and the baker waits.",
    "The river runs past the mill and carries flour to the town, where the baker waits for it every morning. " * 12,
    "word " * 400,
]
LINES = [text for text in TEXTS if text.strip()] + [
    "query: what is a mill",
    "passage: a mill grinds grain",
    "Instruct: find it",
]

_SIZES = {
    "default": dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64),
    "distilbert": dict(dim=WIDTH, n_layers=2, n_heads=4, hidden_dim=64),
    "t5": dict(d_model=WIDTH, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
    "xlnet": {},
    "gpt2": dict(n_embd=WIDTH, n_layer=2, n_head=4, n_positions=128),
}
_T5 = _SIZES["t5"]
_BART = dict(d_model=WIDTH, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4)
_BART |= dict(encoder_ffn_dim=64, decoder_ffn_dim=64)
_SIZES |= {kind: _T5 for kind in ("mt5", "umt5", "longt5", "switch_transformers")}
_SIZES |= {kind: _BART for kind in ("bart", "m2m_100", "pegasus", "marian", "blenderbot")}
_SIZES |= {"blenderbot-small": _BART, "pegasus_x": _BART}
_SIZES["prophetnet"] = dict(hidden_size=WIDTH, encoder_ffn_dim=64, decoder_ffn_dim=64)
_SIZES["prophetnet"] |= {f"num_{side}_layers": 2 for side in ("encoder", "decoder")}
_SIZES["prophetnet"] |= {f"num_{side}_attention_heads": 4 for side in ("encoder", "decoder")}
_GEMMA = dict(_SIZES["default"], num_key_value_heads=2, head_dim=8, sliding_window=16, vocab_size=400, pad_token_id=0)
_SIZES["t5gemma"] = dict(encoder=_GEMMA, decoder=_GEMMA)
_SIZES["udop"] = dict(_T5, image_size=16, patch_size=8)
_GROUPED = dict(num_key_value_heads=2, head_dim=8)
EXTRA = {
    "xlnet": dict(d_model=WIDTH, n_layer=2, n_head=4, d_inner=64, max_position_embeddings=None),
    "qwen3": _GROUPED,
    "llama": dict(num_key_value_heads=2),
    "mistral": dict(num_key_value_heads=2, sliding_window=16),
    "gemma3_text": dict(**_GROUPED, use_bidirectional_attention=True, sliding_window=16),
    "modernbert": dict(local_attention=16, global_attn_every_n_layers=2),
}
_RANGE_KEYS = ("initializer_range", "initializer_factor")


def wordpiece(*, lower: bool = True) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lower)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.decoder = decoders.WordPiece()
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)


def bytelevel(*, style: str) -> PreTrainedTokenizerFast:
    """`roberta`: <s> text </s>, padding id 1; `decoder`: text and an end token, padded on the left."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if style == "roberta" else ["<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    )
    backend.decoder = decoders.ByteLevel()
    if style == "roberta":
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
        names = dict(bos_token="<s>", cls_token="<s>", pad_token="<pad>", eos_token="</s>", sep_token="</s>")
        return PreTrainedTokenizerFast(
            tokenizer_object=backend, unk_token="<unk>", mask_token="<mask>", model_max_length=512, **names
        )
    backend.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", pad_token="<|endoftext|>", padding_side="left"
    )


def checkpoint(folder: Path, kind: str, tokenizer: PreTrainedTokenizerFast, **changes: object) -> Path:
    """A plain transformers checkpoint of a tiny random network."""
    pad = tokenizer.pad_token_id
    sizes = dict(_SIZES.get(kind, _SIZES["default"]), vocab_size=len(tokenizer), pad_token_id=pad)
    sizes |= dict(max_position_embeddings=128 + (pad + 1 if kind in ("roberta", "mpnet") else 0))
    sizes |= EXTRA.get(kind, {}) | changes
    sizes = {key: value for key, value in sizes.items() if value is not None}
    config = AutoConfig.for_model(kind, **sizes)
    for key in _RANGE_KEYS:
        if hasattr(config, key):
            setattr(config, key, 0.1 if key == "initializer_range" else 0.5)
    torch.manual_seed(7)
    network = AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        # The end token of a decoder is its padding token, whose embedding would be zero.
        network.get_input_embeddings().weight[pad].normal_()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def saved(folder: Path, base: Path, *heads: object, pooling: str | list[str] = "mean", **options: object) -> Path:
    """A sentence-transformers folder: Transformer, Pooling and heads; `options` go to Pooling or the model."""
    transformer = Transformer(str(base), max_seq_length=options.pop("max_seq_length", None))
    include = options.pop("include_prompt", True)
    width = transformer.get_embedding_dimension()
    pool = Pooling(width, pooling_mode=pooling, include_prompt=include)
    SentenceTransformer(modules=[transformer, pool, *heads], device="cpu", **options).save(str(folder))
    return folder


def rewrite(path: Path, change: dict[str, object] | None = None, *, drop: tuple[str, ...] = ()) -> None:
    """Edit a JSON file by hand, as older versions would have written it."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content = {key: value for key, value in {**content, **(change or {})}.items() if key not in drop}
    path.write_text(json.dumps(content))


def clip(folder: Path) -> Path:
    """A tiny CLIP checkpoint with both towers and a tokenizer, but nothing that reads images."""
    tokenizer = bytelevel(style="roberta")
    tokenizer.model_max_length = 40
    sizes = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    text = dict(**sizes, vocab_size=len(tokenizer), max_position_embeddings=40)
    text |= dict(bos_token_id=0, eos_token_id=2, pad_token_id=1)
    config = CLIPConfig(text_config=text, vision_config=dict(**sizes, image_size=8, patch_size=4), projection_dim=24)
    torch.manual_seed(7)
    network = CLIPModel(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def t5gemma2(folder: Path) -> Path:
    """A tiny whole T5Gemma2, as its maker saves it, and nothing that reads images."""
    tokenizer = wordpiece()
    text = {key: value for key, value in _GEMMA.items() if key != "pad_token_id"} | {"vocab_size": len(tokenizer)}
    images = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    encoder = dict(text_config=text, vision_config=dict(**images, image_size=28, patch_size=14), mm_tokens_per_image=4)
    config = AutoConfig.for_model("t5gemma2", encoder=encoder, decoder=text)
    torch.manual_seed(7)
    T5Gemma2ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
