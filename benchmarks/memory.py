"""Peak memory of the producer with a small and a large corpus; it must not grow with the corpus.

    python -m benchmarks.memory --rows 10000 1000000

The workers are stubs without a model, so that the large corpus takes a minute and not a day. What is measured is
the producer's process alone: survey, cut, window, progress, commit. The last line of stdout is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.throughput import model_folder
from producer.embedded.redis_server import RedisServer

_PIECE_ROWS = 50_000
_SENTENCE = "The quick brown fox jumps over the lazy dog, and row {} tells about it in a few more words than needed."
#: The command line, with the peak of its own resident memory written to a file at the end (Linux: VmHWM).
_PRODUCER = """
import re, sys
from pathlib import Path
from producer.__main__ import main
report = sys.argv.pop(1)
try:
    main()
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    Path(report).write_text(peak.group(1))
"""


def main() -> None:
    options, facts = _options(), machine.facts()
    with tempfile.TemporaryDirectory(prefix="vecmill-memory-") as folder:
        runs = [measure(Path(folder), rows, ids=not options.no_ids) for rows in options.rows]
    small, large = runs[0], runs[-1]
    ratio = round(large["peak_mib"] / small["peak_mib"], 3)
    print(json.dumps({"ratio": ratio, "own_ids": not options.no_ids, "runs": runs} | facts))


def measure(folder: Path, rows: int, *, ids: bool) -> dict[str, Any]:
    """Embed a corpus of so many rows with stub workers; the producer's peak memory and how long it took."""
    work = folder / str(rows)
    work.mkdir()
    corpus = write_corpus(work / "corpus.parquet", rows, ids=ids)
    server = RedisServer(work)
    server.start()
    stub = subprocess.Popen([sys.executable, "-m", "benchmarks.stub_worker", server.url])
    began = time.monotonic()
    try:
        result = _embed(corpus, work, server.url)
    finally:
        stub.terminate()
        stub.wait()
        server.stop()
    seconds = round(time.monotonic() - began, 1)
    run = {"rows": result["rows"], "peak_mib": round(int((work / "peak").read_text()) / 1024, 1), "seconds": seconds}
    print(f"{rows:,} rows: {run['peak_mib']:,.1f} MiB at most, {seconds} s", file=sys.stderr)
    return run


def _embed(corpus: Path, work: Path, url: str, *more: str) -> dict[str, Any]:
    command = [
        sys.executable, "-c", _PRODUCER, str(work / "peak"), "embed", str(corpus), "--model", model_folder(),
        "--dims", "8", "--to", str(work / "table"), "--json", *more,
    ]  # fmt: skip
    env = {**os.environ, "VECMILL_BROKER_URL": url, "XDG_STATE_HOME": str(work), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write_corpus(path: Path, rows: int, *, ids: bool) -> Path:
    """A Parquet file of so many short texts, with ids of its own or without."""
    names = ["id", "text"] if ids else ["text"]
    with pq.ParquetWriter(path, pa.schema([(name, pa.string()) for name in names])) as writer:
        for start in range(0, rows, _PIECE_ROWS):
            numbers = range(start, min(start + _PIECE_ROWS, rows))
            columns = {
                "id": [f"doc-{number:09d}" for number in numbers],
                "text": [_SENTENCE.format(n) for n in numbers],
            }
            writer.write_table(pa.table({name: columns[name] for name in names}))
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000], help="default: 10000 1000000")
    parser.add_argument("--no-ids", action="store_true", help="a corpus without an id column: ids are positions")
    return parser.parse_args()


if __name__ == "__main__":
    main()
