"""The multi-process pool of sentence-transformers: a process for each core, one thread each."""

from typing import Any

from sentence_transformers import SentenceTransformer


def load(model: str, options: dict[str, Any]) -> Any:
    loaded = SentenceTransformer(model, device="cpu")
    processes = options["processes"]

    def encode(texts: list[str]) -> Any:
        pool = loaded.start_multi_process_pool(["cpu"] * processes)
        try:
            # Its own default, a twentieth, pads more: a process sorts within its chunk.
            chunk = max(-(-len(texts) // processes), 1)
            return loaded.encode(texts, pool=pool, batch_size=options["batch_size"], chunk_size=chunk)
        finally:
            loaded.stop_multi_process_pool(pool)

    return encode
