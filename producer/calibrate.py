"""Finds the ranges of a table's int8 or uint8 codes, before the first of them is written.

A sample of the source is embedded as a small float32 run of its own, by the same workers through the same queue, so
the producer needs no torch; what its vectors span are the ranges. It is never committed, and leaves nothing behind.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from producer import records
from producer.broker import OUTAGE, Broker
from producer.display import Display
from producer.driver import Driver
from producer.place import Place
from producer.source import START, Cursor, Rows, SourceBatch
from producer.table import list_parts, read_record
from producer.table.codes import block_of
from producer.table.log import LiveFile
from producer.table.read import read_columns
from schemas.arrow import PAYLOAD_COLUMNS, payload_schema
from schemas.errors import RunFailed
from schemas.files import remove_folder
from schemas.receipt import Receipt
from schemas.run import RunRecord
from schemas.store import Ranges, Vectors

#: Texts that the ranges are taken from: with more of them the ends move little, and codes beyond are clipped.
SAMPLE_ROWS = 4096
#: Where the parts of samples lie inside the table, until the ranges are known.
SAMPLES_FOLDER = "_ranges"
_JOB_ROWS = 512


class Sample:
    """Rows spread evenly over the source, the same at every call; a source in itself."""

    def __init__(self, source: Rows, rows: int) -> None:
        wanted = np.unique(np.linspace(0, max(rows - 1, 0), min(rows, SAMPLE_ROWS)).astype(np.int64))
        empty = payload_schema([]).empty_table()
        self._rows = pa.concat_tables([empty, *(_taken(batch, wanted) for batch in source.batches())]).combine_chunks()

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        """The rows from a place on."""
        for rows in self._rows.slice(start.total).to_batches():
            yield SourceBatch(rows, start)
            start = start.plus(rows.num_rows)


def calibrated(record: RunRecord, source: Rows, broker: Broker, *, display: Display, place: Place) -> RunRecord:
    """The record with its ranges, also on the disk; at once where they are known or the store needs none."""
    record = read_record(record.table, record.run) or record
    if not record.lacks_ranges:
        return record
    # From here on `vecmill serve` finds the run, should this process die.
    broker.ledger(record.run).open(record)
    sample = Sample(source, record.rows)
    display.say(f"embedding {len(sample):,} texts to find the ranges of {record.store} codes")
    vectors = _embed(_sample_record(record, len(sample)), sample, broker, display=display, place=place)
    if len(vectors) == 0:
        raise RunFailed(
            f"no row of the sample has a vector, so the ranges of {record.store} codes cannot be found",
            way_out="look at the first rows of the source, or take --store float32 and see _errors",
        )
    found = record.model_copy(update={"ranges": Ranges.of(vectors)})
    records.save(found)
    return found


def sample_run(run: str) -> str:
    """The name of the run that embeds the sample of this one; no longer than a run's name may be."""
    digest = hashlib.blake2b(run.encode(), digest_size=4).hexdigest()
    return f"{run[:56]}-sample-{digest}"


def _sample_record(record: RunRecord, rows: int) -> RunRecord:
    changes = {
        "run": sample_run(record.run),
        "table": os.path.join(record.table, SAMPLES_FOLDER),
        "source": record.source.model_copy(update={"keep": (), "keep_text": False, "chunk_tokens": None}),
        "store": "float32",
        "rows": rows,
        "twins": None,
        "job_rows": _JOB_ROWS,
        "sample_of": record.run,
    }
    return record.model_copy(update=changes)


def _embed(record: RunRecord, sample: Sample, broker: Broker, *, display: Display, place: Place) -> Vectors:
    def receipts() -> dict[int, Receipt]:
        return {part.receipt.job: part.receipt for part in list_parts(record.table, record.run)}

    try:
        Driver(record, sample, broker=broker, display=display, place=place, parts=receipts).run()
    finally:
        _forget(record, broker)
    vectors = _vectors(record)
    _sweep(record)
    return vectors


def _forget(record: RunRecord, broker: Broker) -> None:
    # A Redis that is away now has nothing that a later attempt would take for its own: parts decide.
    with contextlib.suppress(*OUTAGE):
        broker.ledger(record.run).forget(most_jobs=record.rows)


def _sweep(record: RunRecord) -> None:
    """Only what this sample left: another run may be at its own."""
    for folder in os.path.join("_errors", record.run), record.run:
        remove_folder(os.path.join(record.table, folder))


def _vectors(record: RunRecord) -> Vectors:
    parts = [part for part in list_parts(record.table, record.run) if part.rows]
    files = [LiveFile(os.path.join(record.table, part.path), part.rows, part.size_bytes) for part in parts]
    blocks = [block_of(read_columns(file, ["embedding"]).column("embedding"), file.path) for file in files]
    return np.concatenate(blocks) if blocks else np.empty((0, record.spec.dims), np.float32)


def _taken(batch: SourceBatch, wanted: npt.NDArray[np.int64]) -> pa.Table:
    """The wanted rows of a batch: those that can be embedded, without the kept columns."""
    first = batch.start.total
    places = wanted[(wanted >= first) & (wanted < first + batch.rows.num_rows)] - first
    rows = pa.Table.from_batches([batch.rows]).take(pa.array(places)).select(PAYLOAD_COLUMNS)
    return rows.filter(pc.is_null(rows.column("problem")))
