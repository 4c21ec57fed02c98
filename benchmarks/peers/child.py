"""One run of one peer, in the peer's own environment: texts of a Parquet file in, ids and vectors to a Parquet file.

    python -P child.py '{"adapter": ..., "corpus": ..., "out": ..., "model": ..., "options": {...}, "limit": 1}'

Knows only numpy and pyarrow, which every environment has; the adapter is a file with a function
`load(model, options)` that gives a function from a list of texts to float vectors [n, d]. With `batch_sizes` no file is
written: the first texts are encoded at each, and the seconds of each are told, by the `clock` that counts: "cpu" or
"wall". The last line of stdout is JSON.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


def main(said: str) -> None:
    task: dict[str, Any] = json.loads(said)
    corpus = pq.read_table(task["corpus"], columns=["id", "text"]).slice(0, task.get("limit"))
    texts = corpus["text"].to_pylist()
    load = adapter(Path(task["adapter"])).load
    if "batch_sizes" in task:
        sizes = {size: tried(load(task["model"], task["options"] | {"batch_size": size}), texts, CLOCKS[task["clock"]])
                 for size in task["batch_sizes"]}  # fmt: skip
        print(json.dumps({"batch_size": min(sizes, key=sizes.__getitem__), "seconds_of_sizes": sizes}))
        return
    encode = load(task["model"], task["options"])
    began, cpu = time.monotonic(), time.process_time()
    vectors = np.ascontiguousarray(encode(texts), dtype=np.float32)
    if len(vectors) != len(texts):
        raise SystemExit(f"{len(texts)} texts gave {len(vectors)} vectors")
    write(Path(task["out"]), corpus["id"], vectors)
    print(json.dumps({"encode_seconds": time.monotonic() - began, "encode_cpu_seconds": time.process_time() - cpu}))


def tried(encode: Callable[[list[str]], Any], texts: list[str], clock: Callable[[], float]) -> float:
    """Seconds for the texts, after a first few that warm it up."""
    encode(texts[:16])
    began = clock()
    encode(texts)
    return clock() - began


def write(path: Path, ids: Any, vectors: "np.ndarray[Any, np.dtype[np.float32]]") -> None:
    """As a table of Vecmill has them: `id`, and `embedding` as a list that is never null."""
    offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
    item = pa.field("element", pa.float32(), nullable=False)
    embedding = pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)), type=pa.list_(item))
    pq.write_table(pa.table({"id": ids, "embedding": embedding}), path, use_dictionary=False, compression="none")


def adapter(path: Path) -> Any:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(f"adapter_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # A pool's processes look for it by name.
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
