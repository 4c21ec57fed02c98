"""Checks of the rows of one file, streamed: counts, vectors, norms, hashes. Knows no model."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from producer.table.log import LiveFile
from producer.verify.finding import Check, Finding
from schemas.files import opened
from schemas.spec import Spec
from schemas.store import CALIBRATED, PACKED, Store, width

_BATCH_ROWS = 4_096
_HASH_BYTES = 16
#: How far a norm may be from 1: half precision rounds each number by up to 2^-9 of it. Codes have no norm to check.
_NORM_TOLERANCE = {"float32": 1e-3, "float16": 2e-3, "bfloat16": 1e-2}
#: What the numbers of a store that Delta keeps in a wider type must stay within.
_BYTE = (0, 255)


def check_file(file: LiveFile, spec: Spec, store: Store) -> Iterator[Finding]:
    """What is wrong with one file; a number of rows is told once a kind, not once a row."""
    counts: Counter[tuple[Check, str]] = Counter()
    try:
        with opened(file.path) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as parquet:
            rows = parquet.metadata.num_rows
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=["text_hash", "embedding"]):
                counts.update(_hash_problems(batch.column("text_hash")))
                counts.update(_vector_problems(batch.column("embedding"), spec, store))
    except FileNotFoundError:
        yield Finding(check="file", where=file.path, detail="the file is missing")
        return
    except (pa.ArrowException, OSError) as error:
        yield Finding(check="file", where=file.path, detail=f"the file cannot be read: {error}")
        return
    if file.rows is not None and rows != file.rows:
        yield Finding(check="rows", where=file.path, detail=f"{rows} rows, but the log says {file.rows}")
    for (check, problem), count in counts.items():
        if count:
            yield Finding(check=check, where=file.path, detail=f"{count} {problem}")


def _hash_problems(hashes: pa.Array) -> dict[tuple[Check, str], int]:
    wrong = pc.not_equal(pc.fill_null(pc.binary_length(hashes), 0), _HASH_BYTES)
    count = pc.sum(wrong).as_py() or 0
    return {("hashes", f"text hashes are not {_HASH_BYTES} bytes"): count} if count else {}


def _vector_problems(lists: pa.ListArray, spec: Spec, store: Store) -> dict[tuple[Check, str], int]:
    wide = width(store, spec.dims)
    right = pc.fill_null(pc.equal(pc.list_value_length(lists), wide), False)
    problems: dict[tuple[Check, str], int] = {
        ("vectors", "vectors are null"): lists.null_count,
        ("vectors", f"vectors are not {wide} wide"): len(lists) - lists.null_count - pc.sum(right, min_count=0).as_py(),
    }
    block = lists.filter(right).flatten().to_numpy(zero_copy_only=False).reshape(-1, wide)
    finite = np.isfinite(block).all(axis=1)
    problems["vectors", "vectors have null, NaN or infinite elements"] = int((~finite).sum())
    if store in CALIBRATED or store in PACKED:
        low, high = _BYTE if store.startswith("u") else (-128, 127)
        beyond = ((block < low) | (block > high)).any(axis=1)
        problems["vectors", f"vectors have codes beyond {low} to {high}"] = int(beyond.sum())
    elif spec.unit_vectors:
        norms = np.linalg.norm(block[finite], axis=1)
        problems["norms", "vectors should have norm 1 and have not"] = int(
            (np.abs(norms - 1) > _NORM_TOLERANCE[store]).sum()
        )
    return problems
