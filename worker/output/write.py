"""Writing a job's part and its failed rows, once and whole. Knows Parquet and the receipt, no model.

The footer carries the receipt, so its times are those of the moment before the footer is written:
`durable_at` and `seconds.write` leave out the footer itself and the flush to the disk (milliseconds).
"""

import functools
import json
import os
import time
from importlib import metadata
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.files import remove, written
from schemas.footer import read_footer
from schemas.job import errors_path, part_path
from schemas.layout import writer_options
from schemas.receipt import RANGES_KEY, RECEIPT_KEY, SPEC_KEY, STORE_KEY, VERSIONS_KEY, Receipt
from schemas.run import RunRecord
from worker.output.part import Encoded, build_part

_LIBRARIES = ("vecmill", "pyarrow", "numpy", "torch", "transformers", "tokenizers")


def write_part(payload: pa.Table, encoded: Encoded, *, record: RunRecord, receipt: Receipt) -> Receipt:
    """Write what became of a job; gives the receipt with its counts and the times of the write filled in.

    `rows` are those of the part, `failed` the others: together they are the rows of the job. Where another attempt
    has written the part meanwhile, that part stays as it is, with what failed there, and its receipt is given.
    """
    started = time.perf_counter()
    path = os.path.join(record.table, part_path(receipt.run, receipt.job))
    durable = durable_receipt(path, record)
    if durable is not None:
        return durable
    part = build_part(payload, encoded, record)
    failed_path = os.path.join(record.table, errors_path(receipt.run, receipt.job))
    if len(part.failed):
        with written(failed_path) as stream:
            pq.write_table(part.failed, stream, compression="zstd")
    counts = {
        "rows": len(part.rows),
        "failed": len(part.failed),
        "truncated": pc.sum(part.rows.column("truncated"), min_count=0).as_py(),
        "tokens": pc.sum(part.rows.column("n_tokens"), min_count=0).as_py(),
    }
    counted = receipt.model_copy(update=counts)
    written_receipt = _write_once(path, part.rows, record, counted, started)
    if not len(part.failed) and written_receipt.failed == 0:
        # An earlier attempt at the job may have failed rows that this one did not.
        remove(failed_path)
    return written_receipt


def durable_receipt(path: str, record: RunRecord) -> Receipt | None:
    """The receipt of a part that is there and was made as the run asks; None where there is none."""
    receipt = read_receipt(path)
    return receipt if receipt is not None and receipt.fingerprint == record.spec.fingerprint else None


def read_receipt(path: str) -> Receipt | None:
    """The receipt of a complete part; None where there is none, a torn one or another file."""
    footer = read_footer(path)
    return footer.receipt if footer else None


def _write_once(path: str, rows: pa.Table, record: RunRecord, receipt: Receipt, started: float) -> Receipt:
    """Of two attempts at one job the first counts: its part may have been read, or committed, by now."""
    try:
        with written(path, once=True) as stream:
            return _write_rows(stream, rows, record, receipt, started)
    except FileExistsError:
        durable = durable_receipt(path, record)
        if durable is not None:
            return durable
    # What lies there is torn, or no part of this run.
    with written(path) as stream:
        return _write_rows(stream, rows, record, receipt, started)


def _write_rows(stream: BinaryIO, rows: pa.Table, record: RunRecord, receipt: Receipt, started: float) -> Receipt:
    with pq.ParquetWriter(stream, rows.schema, **writer_options(rows.schema)) as writer:
        writer.write_table(rows)
        seconds = receipt.seconds.model_copy(update={"write": time.perf_counter() - started})
        receipt = receipt.model_copy(update={"seconds": seconds, "durable_at": time.time()})
        writer.add_key_value_metadata({RECEIPT_KEY: receipt.model_dump_json(), **_origin(record)})
    return receipt


def _origin(record: RunRecord) -> dict[bytes, str]:
    """What the numbers of a part mean, whoever finds it."""
    ranges = {} if record.ranges is None else {RANGES_KEY: record.ranges.model_dump_json()}
    return {SPEC_KEY: record.spec.model_dump_json(), STORE_KEY: record.store, VERSIONS_KEY: _versions(), **ranges}


@functools.cache
def _versions() -> str:
    installed = {}
    for library in _LIBRARIES:
        try:
            installed[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return json.dumps(installed)
