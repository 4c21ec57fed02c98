"""CPU seconds of `SentenceTransformer.encode` on a corpus, at the batch size that suits it best.

Run as a process of its own: `python -m benchmarks.rival CORPUS.parquet MODEL`. Only `encode` counts: not the
imports, not the model's load, not the reading of the texts. The last line of stdout is one JSON object.
"""

import json
import sys
import time

import pyarrow.parquet as pq
import torch
from sentence_transformers import SentenceTransformer

BATCH_SIZES = (8, 16, 32, 64, 128)
#: Texts on which the batch sizes are tried: spread over the corpus, and some batches even of the largest size.
SAMPLE = 512


def main(corpus: str, model_folder: str) -> None:
    torch.set_num_threads(1)
    texts = pq.read_table(corpus, columns=["text"])["text"].to_pylist()
    model = SentenceTransformer(model_folder, device="cpu")
    sample = texts[:: max(len(texts) // SAMPLE, 1)][:SAMPLE]
    cpu_seconds(model, sample[:64], 32)
    tried = {size: cpu_seconds(model, sample, size) for size in BATCH_SIZES}
    best = min(tried, key=tried.__getitem__)
    seconds = cpu_seconds(model, texts, best)
    per_second = {size: round(len(sample) / spent, 1) for size, spent in tried.items()}
    print(json.dumps({"cpu_seconds": seconds, "batch_size": best, "texts_per_cpu_second_in_sample": per_second}))


def cpu_seconds(model: SentenceTransformer, texts: list[str], batch_size: int) -> float:
    """User and system time of this process, all threads, for one call of `encode`."""
    began = time.process_time()
    model.encode(texts, batch_size=batch_size, show_progress_bar=False)
    return time.process_time() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
