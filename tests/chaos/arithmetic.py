"""The fake model: a vector that follows from the letters of its text alone, so that the right answer is known."""

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

DIMS = 8


def vectors_of(texts: list[str]) -> npt.NDArray[np.float32]:
    """float32 [n, 8], exact: bytes of each text's hash."""
    joined = b"".join(hashlib.sha256(text.encode()).digest()[:DIMS] for text in texts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, DIMS).astype(np.float32)


def model_folder(folder: Path) -> Path:
    """Files that a producer resolves to a spec; the weights are never read."""
    network = {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": DIMS, "num_hidden_layers": 1,
        "num_attention_heads": 1, "intermediate_size": DIMS, "vocab_size": 30, "max_position_embeddings": 64,
    }  # fmt: skip
    kind = "sentence_transformers.models"
    files = {
        "config.json": network,
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{kind}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kind}.Pooling"},
        ],
        "sentence_bert_config.json": {"max_seq_length": 64, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": DIMS, "pooling_mode_mean_tokens": True},
        "tokenizer.json": {},
        "model.safetensors": {},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder
