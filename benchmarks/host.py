"""The host's ceiling: a worker whose network is free, against the bare tokenizer. CPU seconds on one core.

    python -m benchmarks.host --texts 60000

Everything of a worker is real (Redis, ledger, payloads, tokenizer, batches, parts on the disk) but the network, which
gives vectors that were made beforehand. The share says how much of its tokenizer's speed a host keeps, and so how
many GPUs it can feed. The producer and Redis are processes of their own and do not count: they run on another core,
where there is one, since each turn of theirs on the worker's would cost it what it has in its caches. The last line
of stdout is one JSON object.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.docstrings import docstring_table
from benchmarks.stub_worker import job_in
from benchmarks.throughput import model_folder
from producer.embedded.redis_server import RedisServer
from producer.table import list_parts
from schemas.spec import Spec
from schemas.transport import QUEUE
from worker.departure import Departure
from worker.engine import Embedder, Engine
from worker.engine.launch import Done, Launched
from worker.engine.tokens import Ids, Offsets, Tokens, Vectors
from worker.leases import Leases
from worker.ledger import Ledger, connect
from worker.memory import keep_freed_memory
from worker.pipeline import Pipeline
from worker.runs import Runs
from worker.settings import WorkerSettings

JOBS_IN_FLIGHT = 4


@dataclass(frozen=True)
class Free:
    """An embedder whose forward pass costs nothing: the vectors were made before."""

    real: Embedder
    vectors: Vectors

    @property
    def spec(self) -> Spec:
        """What the vectors would mean."""
        return self.real.spec

    @property
    def padded(self) -> bool:
        """Texts lie end to end."""
        return False

    @property
    def token_budget(self) -> int:
        """As on a GPU."""
        return 16384

    def tokens(self, texts: list[str]) -> Tokens:
        """The real tokenizer's."""
        return self.real.tokens(texts)

    @property
    def ahead(self) -> int:
        """As on a CPU: nothing is waited for anyway."""
        return 0

    def launch(self, ids: Ids, offsets: Offsets) -> Launched:
        """As many vectors as there are texts."""
        return Done(self.vectors[: len(offsets) - 1])

    def describe(self) -> dict[str, Any]:
        """For the receipts."""
        return {"device": "none", "dtype": "float32"}


class One:
    """The only model there is."""

    def __init__(self, embedder: Free) -> None:
        self._embedder = embedder

    def load(self, spec: Spec) -> Free:
        """Always the same."""
        return self._embedder

    def describe(self) -> tuple[str, tuple[str, ...]]:
        """For the receipts."""
        return "none", ()


def main() -> None:
    options = _options()
    machine.one_core()
    keep_freed_memory()
    texts = docstring_table(options.texts)
    strings = texts["text"].to_pylist()
    shares, seconds = [], []
    for _ in range(options.repeats):
        # A new one knows no word yet.
        embedder = Embedder.load(model_folder(), dtype="float32")
        bare = bare_seconds(embedder, strings)
        ours, parts = worker_seconds(embedder, texts)
        shares.append(bare / ours)
        seconds.append((bare, ours))
    bare, ours = (statistics.median(pair[side] for pair in seconds) for side in (0, 1))
    tokens = int(embedder.tokens(strings).offsets[-1])
    print(json.dumps({
        "share": round(statistics.median(shares), 3), "shares": [round(share, 3) for share in shares],
        "texts": len(strings), "tokens": tokens, "bare_tokens_per_cpu_second": round(tokens / bare),
        "tokens_per_cpu_second": round(tokens / ours), "seconds_in_parts": parts,
    } | machine.facts()))  # fmt: skip


def bare_seconds(embedder: Embedder, texts: list[str]) -> float:
    """CPU seconds of `encode_batch_fast` alone, in pieces of a job's size."""
    backend = embedder.tokenizer._tokenizer.backend_tokenizer  # type: ignore[attr-defined]
    began = time.process_time()
    for begin in range(0, len(texts), 2048):
        backend.encode_batch_fast(texts[begin : begin + 2048])
    return time.process_time() - began


def worker_seconds(embedder: Embedder, texts: Any) -> tuple[float, dict[str, float]]:
    """CPU seconds of this process, as a worker, from the first job to the last; and wall seconds by stage."""
    free = Free(embedder, np.random.default_rng(0).standard_normal((16384, embedder.spec.dims), dtype=np.float32))
    with tempfile.TemporaryDirectory(prefix="vecmill-host-") as name:
        folder = Path(name)
        pq.write_table(texts, folder / "corpus.parquet")
        (folder / "redis").mkdir()
        server = RedisServer(folder / "redis")
        with machine.elsewhere():
            server.start()
        try:
            with machine.elsewhere():
                producer = _embed(folder, server.url)
            spent = _work(server.url, free, folder, until=producer)
            _, said = producer.communicate()
            if producer.returncode:
                raise SystemExit(said[-2000:])
            return spent, _stages(folder)
        finally:
            server.stop()


def _embed(folder: Path, url: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", "producer", "embed", str(folder / "corpus.parquet"), "--model", model_folder(),
        "--to", str(folder / "table"), "--dtype", "float32", "--broker", url, "--json",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _work(url: str, free: Free, folder: Path, *, until: "subprocess.Popen[str]") -> float:
    ledger = Ledger(connect(url), "host")
    models, engine = One(free), Engine()
    leases = Leases(ledger, describe=models.describe)
    leases.start()
    settings = WorkerSettings(broker_url=url, allow_roots=(str(folder),))
    departure = Departure(ledger, leases, grace_seconds=0)
    pipeline = Pipeline(ledger, leases, Runs(ledger, settings), models, engine, departure=departure)  # type: ignore[arg-type]
    client, free_threads = connect(url), threading.Semaphore(JOBS_IN_FLIGHT)
    before, last = None, time.process_time()
    with ThreadPoolExecutor(JOBS_IN_FLIGHT) as pool:
        while until.poll() is None:
            free_threads.acquire()
            message = client.brpop([QUEUE], timeout=0.2)
            if message is None:
                free_threads.release()
                continue
            before = time.process_time() if before is None else before

            def ended(_: "Future[str]") -> None:
                nonlocal last
                last = time.process_time()
                free_threads.release()

            pool.submit(pipeline.run, job_in(message[1])).add_done_callback(ended)
    leases.stop()
    engine.close()
    return last - (before or last)


def _stages(folder: Path) -> dict[str, float]:
    run = next((folder / "table" / "_runs").glob("*.json")).stem
    receipts = [part.receipt for part in list_parts(str(folder / "table"), run)]
    return {name: round(sum(getattr(r.seconds, name) for r in receipts), 2) for name in ("tokenize", "encode", "write")}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=60_000, help="how many docstrings (default 60000)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="interleaved runs of both; the median counts (default 3)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
