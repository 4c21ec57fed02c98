"""A second and a third run on one table: nothing changed, then 1% changed, spread evenly. Time and peak memory.

    python -m benchmarks.again --rows 200000

The workers are stubs without a model, as in benchmarks.memory, whose corpus and measuring these are. The last line
of stdout is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.memory import _embed, write_corpus
from producer.embedded.redis_server import RedisServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="vecmill-again-") as folder:
        work = Path(folder)
        corpus = write_corpus(work / "corpus.parquet", rows, ids=True)
        server = RedisServer(work)
        server.start()
        stub = subprocess.Popen([sys.executable, "-m", "benchmarks.stub_worker", server.url])
        try:
            runs = [one(name, corpus, work, server.url) for name in ("full", "unchanged")]
            change(corpus)
            runs.append(one("1% changed", corpus, work, server.url))
        finally:
            stub.terminate()
            stub.wait()
            server.stop()
    print(json.dumps({"rows": rows, "runs": runs} | machine.facts()))


def one(name: str, corpus: Path, work: Path, url: str) -> dict[str, Any]:
    """One run: what it did, its wall time, and the producer's peak memory."""
    began = time.monotonic()
    result = _embed(corpus, work, url)
    seconds = round(time.monotonic() - began, 1)
    peak = round(int((work / "peak").read_text()) / 1024, 1)
    counts = {key: result[key] for key in ("version", "embedded", "reused", "deleted")}
    return {"run": name, "seconds": seconds, "peak_mib": peak, **counts}


def change(corpus: Path) -> None:
    """Another text for every hundredth row."""
    table = pq.read_table(corpus)
    texts = [f"{text}!" if at % 100 == 0 else text for at, text in enumerate(table.column("text").to_pylist())]
    pq.write_table(table.set_column(1, "text", pa.array(texts, pa.string())), corpus)


if __name__ == "__main__":
    main()
