"""A plain loop over Hugging Face Transformers: batches in the order of the file, padded, mean pooling, normalized."""

from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

#: What the model's sentence_bert_config.json says.
_MAX_TOKENS = 256


def load(model: str, options: dict[str, Any]) -> Any:
    torch.set_num_threads(options["threads"])
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()

    @torch.inference_mode()
    def batch(texts: list[str]) -> Any:
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        mask = inputs["attention_mask"][..., None].float()
        pooled = (network(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled).numpy()

    size = options["batch_size"]
    return lambda texts: np.concatenate([batch(texts[at : at + size]) for at in range(0, len(texts), size)])
