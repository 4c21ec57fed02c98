"""Ray Data with sentence-transformers in actors: a process for each core, one thread each."""

import sys
from typing import Any

import numpy as np
import ray
import torch
from ray import cloudpickle


class Embed:
    """What an actor does with a block of rows."""

    def __init__(self, model: str, batch_size: int) -> None:
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        self._model, self._batch_size = SentenceTransformer(model, device="cpu"), batch_size

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Rows to vectors."""
        vectors = self._model.encode(list(rows["item"]), batch_size=self._batch_size)
        return {"row": rows["row"], "embedding": vectors}


def load(model: str, options: dict[str, Any]) -> Any:
    processes = options["processes"]
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # An actor could not import it by name.
    # One processor more than there are actors: reading needs one, too, and would wait for ever.
    ray.init(num_cpus=processes + 1, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def encode(texts: list[str]) -> Any:
        rows = ray.data.from_items([{"row": at, "item": text} for at, text in enumerate(texts)])
        done = rows.map_batches(
            Embed,
            fn_constructor_args=(model, options["batch_size"]),
            concurrency=processes,
            batch_size=1024,
            num_cpus=1,
        ).to_pandas()
        ray.shutdown()
        return np.stack(done.sort_values("row")["embedding"].to_list())

    return encode
