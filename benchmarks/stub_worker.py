"""A worker without a model: claims jobs, writes parts of vectors that follow from the texts, and finishes.

    python -m benchmarks.stub_worker redis://...

It speaks with the real ledger and writes real parts, so that the producer notices no difference; it takes a job in
milliseconds, so that a million rows pass in a minute. It ends when it is terminated.
"""

import base64
import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.job import MOST_JOB_ROWS, Job
from schemas.payload import decode_payload
from schemas.receipt import Receipt
from schemas.run import RunRecord
from schemas.transport import QUEUE
from worker.ledger import Ledger, Verdict, connect
from worker.output import Encoded, embeddable, write_part


def main(url: str) -> None:
    client = connect(url)
    ledger = Ledger(client, "stub")
    while True:
        message = client.brpop([QUEUE], timeout=1)
        if message is not None:
            do(ledger, job_in(message[1]))


def job_in(message: bytes | str) -> Job:
    """The job that a Celery message names."""
    arguments, named, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return Job(**dict(zip(("run", "job"), arguments, strict=False)), **named)


def do(ledger: Ledger, job: Job) -> None:
    """One job, from claim to finish."""
    said, payload = ledger.record(job.run), ledger.payload(job)
    if ledger.claim(job).verdict is not Verdict.GO or said is None or payload is None:
        return
    record = RunRecord.model_validate_json(said)
    rows, source = decode_payload(payload, most_rows=MOST_JOB_ROWS)
    receipt = Receipt(
        run=job.run, job=job.job, fingerprint=record.spec.fingerprint, source=source, rows=0,
        claimed_at=time.time(), durable_at=0.0, worker="stub", device="none", dtype="float32",
    )  # fmt: skip
    encoded = stub_vectors(embeddable(rows).column("text"), record.spec.dims)
    ledger.finish(job, write_part(rows, encoded, record=record, receipt=receipt))


def stub_vectors(texts: pa.ChunkedArray, dims: int) -> Encoded:
    """The vector of a text of n bytes is n, n + 1, n + 2, ...; every text has n tokens."""
    sizes = np.asarray(pc.binary_length(texts), dtype=np.int32)
    vectors = np.add.outer(sizes, np.arange(dims)).astype(np.float32)
    return Encoded(vectors, sizes, np.zeros(len(sizes), dtype=bool))


if __name__ == "__main__":
    main(*sys.argv[1:])
