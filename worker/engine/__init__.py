"""From texts to vectors: tokenizer, batches, model, pooling. Knows no queue and no file format."""

from worker.engine.embedder import Embedder
from worker.engine.engine import Engine

__all__ = ["Embedder", "Engine"]
