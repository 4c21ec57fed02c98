"""Parts as a worker would leave them, without a worker: vectors are a function of the text."""

import hashlib
import os

import numpy as np
import pyarrow as pa

from schemas.arrow import payload_schema
from schemas.job import Job
from schemas.receipt import Receipt, SourceRange
from schemas.run import RunRecord, SourceOptions
from schemas.spec import Module, Spec
from worker.output import Encoded, embeddable, write_part

DIMS = 8


def vector_of(text: str, dims: int = DIMS) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(dims).astype(np.float32)
    return vector / np.linalg.norm(vector)


def encode(texts: list[str]) -> np.ndarray:
    return np.stack([vector_of(text) for text in texts]) if texts else np.empty((0, DIMS), np.float32)


def a_spec(**changes) -> Spec:
    values = {"model": "a/model", "content": "c0ffee", "modules": (Module(kind="Transformer"),), "dims": DIMS}
    return Spec(**{**values, "normalize": True, "dtype": "float32", **changes})


def a_record(table, run="run-1", **changes) -> RunRecord:
    source = changes.pop("source", SourceOptions(paths=("corpus",)))
    values = {"run": run, "table": str(table), "source": source, "spec": a_spec(), "rows": 0, "job_rows": 100}
    return RunRecord(**{**values, "source_state": "s", "created_at": 1.0, **changes})


def a_receipt(record: RunRecord, job: int = 0, *, first: int = 0, rows: int = 1) -> Receipt:
    return Receipt(
        run=record.run,
        job=job,
        fingerprint=record.spec.fingerprint,
        source=SourceRange(start=(0, first, first), end=(0, first + rows, first + rows)),
        rows=0,
        claimed_at=1.0,
        durable_at=0.0,
        worker="here",
        device="cpu",
        dtype="float32",
    )


def a_payload(texts, *, ids=None, problems=None, kept=None) -> pa.Table:
    kept = kept or {}
    columns = [
        pa.array(ids or [f"d{n}" for n in range(len(texts))], pa.string()),
        pa.array([0] * len(texts), pa.int32()),
        pa.array(texts, pa.string()),
        pa.array(problems or [None] * len(texts), pa.string()),
        *kept.values(),
    ]
    schema = payload_schema([pa.field(name, column.type) for name, column in kept.items()])
    return pa.table(columns, schema=schema)


def encoded(payload: pa.Table, **changes) -> Encoded:
    texts = embeddable(payload).column("text").to_pylist()
    values = {
        "vectors": encode(texts),
        "n_tokens": np.array([len(text) for text in texts], np.int32),
        "truncated": np.array([len(text) > 5 for text in texts], np.bool_),
    }
    return Encoded(**{**values, **changes})


def write_job(record: RunRecord, job: int, payload: pa.Table, *, first: int = 0, **changes) -> str:
    """Write one part; gives its path."""
    receipt = a_receipt(record, job, first=first, rows=len(payload))
    write_part(payload, encoded(payload, **changes), record=record, receipt=receipt)
    return os.path.join(record.table, Job(run=record.run, job=job).part)


def write_run(record: RunRecord, texts: list[str], *, per_job: int = 10) -> None:
    """Write the parts of a whole run."""
    for job, first in enumerate(range(0, len(texts), per_job)):
        some = texts[first : first + per_job]
        payload = a_payload(some, ids=[f"d{first + n}" for n in range(len(some))])
        write_job(record, job, payload, first=first)
