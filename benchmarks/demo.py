"""`make demo`: embed the docstrings of this Python with a real model, by the real command line, and search them."""

import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.docstrings import docstring_table
from benchmarks.throughput import model_folder

TEXTS = 10_500
TABLE = "demo-table"
#: Kept, so that a demo that was interrupted can be resumed; `make clean` removes it.
CORPUS = Path("build") / "demo" / "docstrings.parquet"
QUESTIONS = (
    "how long does it take to run a small piece of code?",
    "compress data so that it takes less space",
    "compare two texts and show what changed",
)


def main() -> None:
    print(f"Collecting {TEXTS:,} docstrings of the standard library and of installed packages ...", flush=True)
    began = time.monotonic()
    texts = docstring_table(TEXTS)
    CORPUS.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(texts, CORPUS)
    packages = len(set(texts["package"].to_pylist()))
    print(f"{len(texts):,} texts of {packages} packages in {time.monotonic() - began:.0f} s: {CORPUS}\n")
    vecmill(
        "embed", str(CORPUS), "--model", model_folder(), "--to", TABLE, "--keep", "package", "--keep-text",
        "--mode", "replace",
    )  # fmt: skip
    for question in QUESTIONS:
        vecmill("query", TABLE, question, "-k", "3")
    print(f'Ask it something yourself: {Path(sys.executable).with_name("vecmill")} query {TABLE} "..."')


def vecmill(*arguments: str) -> None:
    """Show the command, run it, and stop where it stops."""
    shown = " ".join(f'"{text}"' if " " in text else text for text in arguments)
    print(f"\n$ vecmill {shown}", flush=True)
    code = subprocess.run([sys.executable, "-m", "producer", *arguments], check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
