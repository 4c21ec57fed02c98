"""What a second worker gives: `vecmill embed --workers 1` against `--workers 2`, one core each, the real model.

    python -m benchmarks.workers --texts 4000

Compared is `seconds_encode`, from the first job claimed to the last part durable: starts and the model's load are left
out. That is wall time, so nothing else may run beside; `cpu_seconds` of all processes tell whether it did: where
the two runs' differ much, or `cores_used` is below the number of workers, the ratio says little. The last line is JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.docstrings import docstring_table
from benchmarks.throughput import embed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=4_000, help="how many docstrings (default 4000)")
    texts = parser.parse_args().texts
    os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    with tempfile.TemporaryDirectory(prefix="vecmill-workers-") as folder:
        corpus = Path(folder) / "docstrings.parquet"
        pq.write_table(docstring_table(texts), corpus)
        runs = [measured(corpus, Path(folder), workers) for workers in (1, 2)]
    ratio = round(runs[0]["seconds_encode"] / runs[1]["seconds_encode"], 3)
    print(json.dumps({"ratio": ratio, "texts": texts, "runs": runs, "load": os.getloadavg()} | machine.facts()))


def measured(corpus: Path, work: Path, workers: int) -> dict[str, Any]:
    """One run with so many workers; the last `--workers` of a command line counts."""
    result = embed(corpus, work / f"table-{workers}", "float32", "--workers", str(workers))
    run = {key: result[key] for key in ("tokens", "seconds", "seconds_encode", "cpu_seconds")}
    run |= {"workers": workers, "cores_used": round(result["cpu_seconds"] / result["seconds"], 2)}
    print(json.dumps(run), file=sys.stderr)
    return run


if __name__ == "__main__":
    main()
