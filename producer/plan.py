"""What a run has to do to a table that has a version, and reading only the rows that need a vector.

A plan follows from the source, the version and the mode alone. It is kept beside the run's record, so that whoever
goes on with the run sees the same jobs; where that file is lost, the plan is made again.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from producer.bits import Bits
from producer.compare import buried, compare, left_behind
from producer.join import KEYS, placed
from producer.source import START, Corpus, Cursor, Rows, SourceBatch
from producer.table import Planned, TableState, load_plan, open_table, save_plan
from producer.table.keys import count_rows, keys_of
from producer.table.log import LiveFile, live_files, open_log
from schemas.errors import UsageError
from schemas.run import Changes, RunRecord
from schemas.text import text_hash


def made_plan(record: RunRecord, source: Corpus, state: TableState) -> tuple[RunRecord, Planned]:
    """The record with what it changes, and which rows these are; vectors of another fingerprint are all made anew."""
    files = live_files(open_log(record.table, state.version), record.table)
    base_rows = sum(map(count_rows, files))
    found = compare(
        lambda: keys_of_source(source), lambda: keys_of(files), source_rows=record.rows, version_rows=base_rows
    )
    gone = _gone(record, source, files, found.absent)
    absent = gone.absent.count()
    anew = state.fingerprint != record.spec.fingerprint
    delete = gone.delete if not anew else Bits(0)
    planned = Planned(found.embed, delete if delete.count() else Bits(0))
    changes = Changes(
        new=found.new,
        changed=record.rows - found.new if anew else found.changed,
        reused=0 if anew else record.rows - found.new - found.changed,
        absent=absent,
        buried=gone.buried.count(),
        deleted=gone.delete.count(),
        anew=anew,
        end=found.embed.end(),
        base_rows=base_rows,
        digest=planned.digest,
    )
    return record.model_copy(update={"changes": changes}), planned


class _Gone(NamedTuple):
    """Rows of the version that the source lacks, of them those with tombstones, and those that the run takes away."""

    absent: Bits
    buried: Bits
    delete: Bits


def _gone(record: RunRecord, source: Corpus, files: list[LiveFile], lacking: Bits) -> _Gone:
    """A text that got shorter leaves chunks behind: its row is still there, so they go in every mode.

    The chunks of a row that cannot be read stay, as they do where a text is one chunk.
    """
    dead = _buried(record, source, files, lacking)
    if record.chunking is None or not lacking.count():
        return _Gone(lacking, dead, lacking if record.mode == "sync" else dead)
    left = left_behind(lambda: keys_of_source(source, firsts=True), lambda: keys_of(files, only=lacking), lacking.size)
    absent = lacking.without(left.cut_off).without(left.unreadable)
    return _Gone(absent, dead, left.cut_off.plus(dead) if record.mode != "sync" else lacking.without(left.unreadable))


def _buried(record: RunRecord, source: Corpus, files: list[LiveFile], lacking: Bits) -> Bits:
    if not record.tombstones or not lacking.count():
        return Bits(lacking.size)
    return buried(lambda: _keys_of_ids(source.tombstones()), lambda: keys_of(files, only=lacking), lacking.size)


def _keys_of_ids(columns: Iterator[pa.Array]) -> Iterator[pa.RecordBatch]:
    for ids in columns:
        nothing = [pa.nulls(len(ids), field.type) for field in KEYS]
        yield pa.RecordBatch.from_arrays([nothing[0], ids, *nothing[2:]], schema=KEYS)


def to_embed(record: RunRecord, source: Corpus, twins: Bits | None = None) -> Rows:
    """The rows of the source that the run's jobs are cut from: those that need a vector, without twins."""
    wanted = wanted_rows(record, source)
    if twins is not None:
        return Changed(source, (wanted or Bits.all(record.rows)).without(twins))
    return source if wanted is None else Changed(source, wanted)


def wanted_rows(record: RunRecord, source: Corpus) -> Bits | None:
    """The rows of the source that need a vector; None where all do."""
    changes = record.step
    if changes is None:
        return None
    return (load_plan(record, changes) or _made_again(record, source)).embed


class Changed:
    """The rows of a source that are in a set; a source in itself, with places of the whole one."""

    def __init__(self, source: Rows, rows: Bits) -> None:
        self._source = source
        self._rows = rows
        self._end = rows.end()

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        """Those rows from a place on; reading ends with the last of them."""
        if start.total >= self._end:
            return
        for batch in self._source.batches(start):
            offsets = self._rows.among(batch.start.total, batch.rows.num_rows)
            if len(offsets):
                yield batch.only(offsets)
            if batch.start.total + batch.rows.num_rows >= self._end:
                return


def keys_of_source(source: Rows, *, firsts: bool = False, place: bool = True) -> Iterator[pa.RecordBatch]:
    """The keys of all rows; a row whose text cannot be read has no hash. A chunk that has moved is another one.

    With `firsts` only those of the first chunk of each text. Without `place` a chunk's hash is that of its text alone.
    """
    for batch in source.batches():
        if firsts:
            batch = batch.only(np.flatnonzero(batch.rows.column("chunk").to_numpy() == 0))
        rows = batch.rows
        at = batch.start.total + (np.arange(rows.num_rows) if batch.offsets is None else batch.offsets)
        texts = [None if text is None else text_hash(text) for text in rows.column("text").to_pylist()]
        hashes = pa.array(texts, pa.binary())
        columns = [pa.array(at), rows.column("id"), rows.column("chunk"), placed(rows, hashes) if place else hashes]
        yield pa.RecordBatch.from_arrays(columns, schema=KEYS)


def _made_again(record: RunRecord, source: Corpus) -> Planned:
    """The plan of a run whose file was lost; the version that it was made for must still be there."""
    state = open_table(record.table, record.base_version)
    if state is not None:
        again, planned = made_plan(record, source, state)
        if again.changes == record.changes:
            save_plan(record, planned)
            return planned
    raise UsageError(
        f"{record.plan_path} in {record.table} is lost, and the version that it was made for is another one now",
        way_out="start a new run: only what is new or changed is embedded",
    )
