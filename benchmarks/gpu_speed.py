"""What a device does with texts: Vecmill's engine, the whole of Vecmill, sentence-transformers, and matrix products."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from worker.engine import Embedder, Engine

#: Texts of a job, and how many jobs are in flight, as in a worker with a GPU.
_JOB, _JOBS = 4096, 16
_RIVAL_SECONDS = 1.5


def ceiling(device: str, dtype: torch.dtype, *, size: int, seconds: float) -> float:
    """The operations a second of a large matrix product: what this card can do at most, as it is cooled and powered."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    for _ in range(3):
        torch.matmul(left, right)
    _wait(device)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(10):
            torch.matmul(left, right)
        _wait(device)
        done += 10
    return done * 2 * size**3 / (time.perf_counter() - began)


def engine_speed(embedder: Embedder, texts: list[str], *, tokenized: bool) -> dict[str, float]:
    """Tokens a second through the engine, from token ids or from texts, with jobs side by side as a worker has them."""
    jobs = [texts[at : at + _JOB] for at in range(0, len(texts), _JOB)]
    ready = [embedder.tokens(job) for job in jobs] if tokenized else jobs
    engine = Engine()

    def one(job: Any) -> int:
        tokens = job if tokenized else embedder.tokens(job)
        return engine.submit(embedder, tokens).result().work.encoded_tokens

    with ThreadPoolExecutor(_JOBS) as pool:
        one(ready[0])
        began, cpu = time.perf_counter(), time.process_time()
        tokens = sum(pool.map(one, ready))
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    engine.close()
    return {"tokens_per_second": tokens / seconds, "host_share": spent / seconds}


def busy_share(embedder: Embedder, texts: list[str]) -> float | None:
    """The share of the time in which the GPU ran some kernel, by torch's profiler; None on a CPU."""
    if embedder.device.type != "cuda":
        return None
    tokens = embedder.tokens(texts[:_JOB])
    embedder.encode(tokens)
    kinds = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as profile:
        embedder.encode(tokens)
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profile.events() or ()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    busy, until = 0.0, 0.0
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / (until - spans[0][0]) if spans else 0.0


def rival_speeds(folder: Path, texts: list[str], *, tokens: int, device: str, until: float) -> dict[str, float]:
    """sentence-transformers' tokens a second by batch size; float16 on a GPU, with flash attention where there is."""
    from sentence_transformers import SentenceTransformer

    kinds: dict[str, dict[str, Any]] = {"": {}}
    if find_spec("flash_attn") is not None:
        kinds["flash, "] = {"attn_implementation": "flash_attention_2"}
    found: dict[str, float] = {}
    for kind, more in kinds.items():
        more["dtype"] = torch.float16 if device.startswith("cuda") else torch.float32
        model = SentenceTransformer(str(folder), device=device, model_kwargs=more)
        model.encode(texts[:64])
        for size in (32, 128, 512):
            if time.monotonic() > until and found:
                return found
            few = max(2 * size, 256)
            speed = _rival(model, texts[:few], size)
            some = texts[: max(few, int(speed * _RIVAL_SECONDS))]
            found[f"{kind}{size}"] = _rival(model, some, size) * tokens / len(texts)
    return found


def _rival(model: Any, texts: list[str], size: int) -> float:
    """Texts a second; its vectors come back to the host, so nothing is left to wait for."""
    began = time.perf_counter()
    model.encode(texts, batch_size=size, show_progress_bar=False)
    return len(texts) / (time.perf_counter() - began)


def end_to_end(folder: Path, texts: list[str], work: Path, device: str) -> dict[str, Any]:
    """`vecmill embed` through Redis and Celery to Parquet; its speed from the first job claimed to the last part."""
    corpus = work / "corpus.parquet"
    pq.write_table(pa.table({"id": [str(at) for at in range(len(texts))], "text": texts}), corpus)
    command = [
        sys.executable, "-m", "producer", "embed", str(corpus), "--model", str(folder), "--to", str(work / "table"),
        "--device", device, "--workers", "1", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"failed": done.returncode}
    result = json.loads(done.stdout.splitlines()[-1])
    return {"tokens_per_second": result["tokens"] / result["seconds_encode"], "seconds": result["seconds"]}


def lengths_of(embedder: Embedder, texts: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Tokens of each text."""
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]] = embedder.tokens(texts).lengths
    return lengths


def tried(step: Callable[[], Any]) -> Any:
    """What a step gives, or why it gave nothing: one thing that fails must not cost all other numbers."""
    try:
        return step()
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {str(error)[:300]}"}


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
