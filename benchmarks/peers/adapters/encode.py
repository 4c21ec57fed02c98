"""`SentenceTransformer.encode` with any of its back ends, at a given batch size."""

from typing import Any

import torch
from sentence_transformers import SentenceTransformer


def load(model: str, options: dict[str, Any]) -> Any:
    torch.set_num_threads(options["threads"])
    given = dict(options.get("model_kwargs", {}))
    if "ov_config" in given:
        given["ov_config"] |= {"INFERENCE_NUM_THREADS": str(options["threads"])}
    loaded = SentenceTransformer(model, device="cpu", backend=options.get("backend", "torch"), model_kwargs=given)
    if "dtype" in options:
        loaded = loaded.to(getattr(torch, options["dtype"]))
    return lambda texts: loaded.encode(texts, batch_size=options["batch_size"], convert_to_numpy=True)
