"""From texts to vectors: tokenizer, batches, model, pooling. Knows no queue and no file format."""

from worker.engine.embedder import Embedder
from worker.engine.engine import Engine
from worker.engine.submission import Work

__all__ = ["Embedder", "Engine", "Work"]
