"""Runs on one table, one after the other: nothing changed, some changed or deleted, another order. Time, rows, bytes.

    python -m benchmarks.again --rows 1000000 --chart docs/again.svg

The workers are stubs without a model, as in benchmarks.memory, whose corpus and measuring these are: what is left is
reading, comparing and writing. What changes or goes is spread evenly, so that every file is concerned. CPU seconds
are the producer's. The last line of stdout is one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.bars import bars
from benchmarks.memory import _embed, write_corpus
from producer.embedded.redis_server import RedisServer

_TITLE = "CPU seconds of the producer"

Change = Callable[[pa.Table], pa.Table]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vecmill-again-") as folder:
        work = Path(folder)
        write_corpus(work / "corpus.parquet", options.rows, ids=True)
        server = RedisServer(work)
        server.start()
        stub = subprocess.Popen([sys.executable, "-m", "benchmarks.stub_worker", server.url])
        try:
            runs = [one(name, CASES[name], work, server.url) for name in options.cases]
        finally:
            stub.terminate()
            stub.wait()
            server.stop()
    if options.chart:
        options.chart.write_text(bars(_TITLE, [(run["run"], run["cpu_seconds"]) for run in runs]))
    print(json.dumps({"rows": options.rows, "runs": runs} | machine.facts()))


def one(name: str, change: Change, work: Path, url: str) -> dict[str, Any]:
    """Change the corpus and run: what it did, its time, the producer's peak memory, and what was written."""
    corpus = work / "corpus.parquet"
    pq.write_table(change(pq.read_table(corpus)), corpus)
    before, spent, began = files(work), cpu_of_children(), time.monotonic()
    result = _embed(corpus, work, url, "--mode", "replace" if name in ANEW else "sync")
    seconds, spent = time.monotonic() - began, cpu_of_children() - spent
    after = files(work)
    run = {
        "run": name,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(spent, 1),
        "peak_mib": round(int((work / "peak").read_text()) / 1024, 1),
        "bytes_written": sum(size for path, size in after.items() if path not in before),
        **{key: result[key] for key in ("version", "embedded", "duplicates", "reused", "deleted")},
    }
    print(json.dumps(run), file=sys.stderr)
    return run


def files(work: Path) -> dict[Path, int]:
    """The table's files and their sizes."""
    return {path: path.stat().st_size for path in (work / "table").rglob("*") if path.is_file()}


def cpu_of_children() -> float:
    """CPU seconds of child processes that have ended: only the producers do before the end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def changed(every: int) -> Change:
    """Another text for every so manieth row."""

    def change(rows: pa.Table) -> pa.Table:
        texts = [f"{text}!" if at % every == 0 else text for at, text in enumerate(rows.column("text").to_pylist())]
        return rows.set_column(1, "text", pa.array(texts, pa.string()))

    return change


def shuffled(rows: pa.Table) -> pa.Table:
    """The same rows in another order."""
    return rows.take(pa.array(np.random.default_rng(7).permutation(len(rows))))


def repeating(rows: pa.Table) -> pa.Table:
    """Three of ten rows with the text of one far away from them."""
    texts = rows.column("text").to_pylist()
    far = len(texts) // 20 * 10
    donors = ((at + far) // 10 * 10 + 3 + at % 10 for at in range(len(texts)))
    repeated = [texts[donor % len(texts)] if at % 10 < 3 else texts[at] for at, donor in enumerate(donors)]
    return rows.set_column(1, "text", pa.array(repeated, pa.string()))


def renamed(rows: pa.Table) -> pa.Table:
    """The same texts under other ids."""
    return rows.set_column(0, "id", pa.array([f"new-{id_}" for id_ in rows.column("id").to_pylist()], pa.string()))


def a_tenth_less(rows: pa.Table) -> pa.Table:
    """Without every tenth row."""
    return rows.filter(pa.array(np.arange(len(rows)) % 10 != 0))


CASES: dict[str, Change] = {
    "full": lambda rows: rows,
    "unchanged": lambda rows: rows,
    "0.1% changed": changed(1000),
    "1% changed": changed(100),
    "10% changed": changed(10),
    "reshuffled": shuffled,
    "10% deleted": a_tenth_less,
    "other ids": renamed,
    "30% repeats, all anew": repeating,
}
#: Runs that take nothing from the table.
ANEW = {"30% repeats, all anew"}


if __name__ == "__main__":
    main()
