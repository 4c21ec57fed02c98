"""fastembed with a model of one's own: the folder of the ONNX export."""

from typing import Any

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

_NAME = "local/all-MiniLM-L6-v2"


def load(model: str, options: dict[str, Any]) -> Any:
    if _NAME not in {known["model"] for known in TextEmbedding.list_supported_models()}:
        TextEmbedding.add_custom_model(
            model=_NAME, pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf="local/none"), dim=384,
            model_file="onnx/model.onnx",
        )  # fmt: skip
    loaded = TextEmbedding(_NAME, specific_model_path=model, threads=options["threads"])
    return lambda texts: np.stack(list(loaded.embed(texts, batch_size=options["batch_size"])))
