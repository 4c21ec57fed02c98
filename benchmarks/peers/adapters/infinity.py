"""infinity-emb with its torch engine, in this process."""

import asyncio
from typing import Any

import numpy as np
import torch
from infinity_emb import AsyncEmbeddingEngine, EngineArgs


def load(model: str, options: dict[str, Any]) -> Any:
    torch.set_num_threads(options["threads"])
    given = EngineArgs(
        model_name_or_path=model, engine="torch", device="cpu", batch_size=options["batch_size"], compile=False,
        bettertransformer=False, model_warmup=False, lengths_via_tokenize=False, dtype="float32",
    )  # fmt: skip

    async def embed(texts: list[str]) -> Any:
        engine = AsyncEmbeddingEngine.from_args(given)
        async with engine:
            vectors, _ = await engine.embed(texts)
        return np.stack(vectors)

    return lambda texts: asyncio.run(embed(texts))
