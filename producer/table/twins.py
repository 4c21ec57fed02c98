"""The files of a run's twins: rows that share the text of others, with copies of their vectors. Knows no queue.

The twins' own columns are put aside on the disk, and the files of their donors are read once, in order, whatever
order the twins have: so it takes 16 bytes of memory a twin.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from producer.table.copying import write_rows
from producer.table.donors import BATCH_ROWS, COPIED, coarsest, copies, find_donors
from producer.table.keys import count_rows, rows_in
from producer.table.log import LiveFile
from schemas.arrow import ERRORS_SCHEMA, is_chunked, kept_fields, part_schema
from schemas.errors import TableError
from schemas.files import names_in, opened, remove, size_of, written
from schemas.run import RunRecord
from schemas.text import text_hash

#: So many batches go into a file.
_FILE_BATCHES = 16
_ERRORS = "twins.parquet"


class TwinFiles(NamedTuple):
    """What became of the twins of a run: files (paths in the table), and how many rows failed as their donors did."""

    files: Sequence[LiveFile] = ()
    failed: int = 0

    @property
    def rows(self) -> int:
        """The rows of the files."""
        return sum(map(count_rows, self.files))


NO_TWINS = TwinFiles()


class TwinCounts(NamedTuple):
    """What the twins of a run add to its counts."""

    rows: int = 0
    failed: int = 0
    truncated: int = 0
    tokens: int = 0


def write_twins(record: RunRecord, twins: Iterable[pa.RecordBatch], donors: Sequence[LiveFile]) -> TwinFiles:
    """Write the twins, rows in payload schema; whoever repeats it writes the same files."""
    with tempfile.TemporaryDirectory(prefix="vecmill-twins-") as folder:
        aside = _put_aside(record, twins, os.path.join(folder, "twins.arrow"))
        donor_of = find_donors(aside, donors)
        order = np.argsort(donor_of, kind="stable")
        lost = int(np.searchsorted(donor_of, 0, sorter=order))
        _write_failed(record, aside.take(pa.array(np.sort(order[:lost]))))
        order, donor_of = order[lost:], donor_of[order[lost:]]
        if not len(order):
            return TwinFiles([], lost)
        batches = _gathered(copies(aside, order, donor_of, donors))
        return TwinFiles(list(_write_files(record, batches, coarsest(donor_of, donors))), lost)


def count_twins(table: str, run: str) -> TwinCounts:
    """What lies in the files of a run's twins."""
    counts = TwinCounts()
    for name in sorted(names_in(os.path.join(table, run))):
        if name.startswith("twins-") and name.endswith(".parquet"):
            with opened(os.path.join(table, run, name)) as stream, pq.ParquetFile(stream) as parquet:
                rows = parquet.read(["n_tokens", "truncated"])
            sums = [pc.sum(rows.column(column), min_count=0).as_py() for column in ("truncated", "n_tokens")]
            counts = TwinCounts(counts.rows + len(rows), 0, counts.truncated + sums[0], counts.tokens + sums[1])
    if _ERRORS in names_in(os.path.join(table, "_errors", run)):
        counts = counts._replace(failed=rows_in(os.path.join(table, "_errors", run, _ERRORS)))
    return counts


def _put_aside(record: RunRecord, twins: Iterable[pa.RecordBatch], path: str) -> pa.Table:
    """The twins' own columns in a file, mapped into memory."""
    schema = None
    for batch in twins:
        hashes = pa.array(map(text_hash, batch.column("text").to_pylist()), pa.binary())
        if schema is None:
            whole = part_schema(
                kept_fields(batch.schema), keep_text=record.source.keep_text, chunked=is_chunked(batch.schema)
            )
            schema = pa.schema([field for field in whole if field.name not in COPIED])
            sink = pa.OSFile(path, "wb")
            writer = pa.ipc.new_file(sink, schema)
        columns = [hashes if name == "text_hash" else batch.column(name) for name in schema.names]
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    writer.close()
    sink.close()
    return pa.ipc.open_file(pa.memory_map(path)).read_all()


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows in batches that are not small."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= BATCH_ROWS:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _write_files(record: RunRecord, batches: Iterator[pa.RecordBatch], like: str) -> Iterator[LiveFile]:
    for number, first in enumerate(batches):
        name = f"{record.run}/twins-{number:08d}.parquet"
        path = os.path.join(record.table, name)
        try:
            with written(path) as stream:
                write_rows(stream, chain([first], islice(batches, _FILE_BATCHES - 1)), like=like)
        except (pa.ArrowException, FileNotFoundError) as error:
            raise TableError(f"cannot write {path}: {error}", way_out=f"vecmill resume {record.run}") from error
        yield LiveFile(name, rows_in(path), size_of(path))


def _write_failed(record: RunRecord, rows: pa.Table) -> None:
    path = os.path.join(record.table, "_errors", record.run, _ERRORS)
    if not len(rows):
        remove(path)
        return
    said = [pa.array([word] * len(rows), pa.string()) for word in ("twin", "a row of the same text failed")]
    failed = pa.table([rows.column("id"), rows.column("chunk"), *said], schema=ERRORS_SCHEMA)
    with written(path) as stream:
        pq.write_table(failed, stream, compression="zstd")
