"""Which rows of a run need no encoding, since their very text is encoded for another row, or has been.

Texts are known by their hashes of 128 bits, those that are stored beside the vectors. The answer is a bit per row; it
follows from source, version and mode, so it is made again where its file is lost.
"""

import hashlib
import os
from collections.abc import Iterator

import pyarrow as pa

from producer.bits import Bits
from producer.join import join
from producer.plan import Changed, keys_of_source, wanted_rows
from producer.source import Corpus, Rows
from producer.table import NO_TWINS, TableState, TwinFiles, list_parts, open_table, write_twins
from producer.table.keys import keys_of
from producer.table.log import LiveFile, live_files, open_log
from schemas.errors import UsageError
from schemas.files import read_bytes, written
from schemas.run import RunRecord, Twins

#: All but the first of the rows that share a text, and all whose text has a vector in the version. The version passes
#: by and is not what is held: it may be large, and what is needed little.
_TWINS = """
    WITH needed AS MATERIALIZED (SELECT wanted.at AS row, wanted.hash AS hash FROM wanted WHERE hash IS NOT NULL),
    known AS (SELECT DISTINCT version.hash AS hash FROM version SEMI JOIN needed ON version.hash = needed.hash),
    shared AS (SELECT hash, min(needed.row) AS donor FROM needed GROUP BY hash HAVING count(*) > 1)
    SELECT needed.row AS twin FROM needed SEMI JOIN known ON needed.hash = known.hash
    UNION ALL
    SELECT needed.row AS twin FROM needed JOIN shared ON needed.hash = shared.hash WHERE needed.row > shared.donor
"""


def find_twins(
    record: RunRecord, source: Corpus, wanted: Bits | None, state: TableState | None
) -> tuple[RunRecord, Bits | None]:
    """The record with its twins, and which rows these are; None where there are none. `wanted` None: all rows."""
    files = (
        [] if not _may_donate(record, state) else live_files(open_log(record.table, record.base_version), record.table)
    )
    rows = source if wanted is None else Changed(source, wanted)
    rows_wanted = record.rows if wanted is None else wanted.count()

    def collect(answer: Iterator[pa.RecordBatch]) -> Bits:
        found = Bits(record.rows)
        for batch in answer:
            found.add(batch.column("twin").to_numpy())
        return found

    streams = {"wanted": lambda: keys_of_source(rows, place=False), "version": lambda: keys_of(files, place=False)}
    found = join(_TWINS, streams, collect, by="hash", rows=rows_wanted)
    if not found.count():
        return record, None
    encoded = (wanted or Bits.all(record.rows)).without(found)
    twins = Twins(rows=found.count(), end=encoded.end(), digest=_digest(found))
    return record.model_copy(update={"twins": twins}), found


def save_twins(record: RunRecord, twins: Bits) -> None:
    """Keep them, whole or not at all."""
    with written(os.path.join(record.table, record.twins_path)) as file:
        file.write(twins.dump())


def twins_of(record: RunRecord, source: Corpus) -> Bits | None:
    """The twins of a run: as they were kept, else found again."""
    if record.twins is None:
        return None
    data = read_bytes(os.path.join(record.table, record.twins_path))
    try:
        kept = None if data is None else Bits.read(data, record.rows)
    except ValueError:
        kept = None
    if kept is not None and _digest(kept) == record.twins.digest:
        return kept
    state = None if record.base_version is None else open_table(record.table, record.base_version)
    again, found = find_twins(record, source, wanted_rows(record, source), state)
    if found is None or again.twins != record.twins:
        raise UsageError(
            f"{record.twins_path} in {record.table} is lost, and the version that it was made for is another one now",
            way_out="start a new run: only what is new or changed is embedded",
        )
    save_twins(record, found)
    return found


def copy_vectors(record: RunRecord, source: Rows, twins: Bits | None) -> TwinFiles:
    """Write the rows that are twins, with the vectors of those that were encoded; to be done when all of these are."""
    if twins is None:
        return NO_TWINS
    donors = [LiveFile(os.path.join(record.table, part.path), part.rows, part.size_bytes)
              for part in list_parts(record.table, record.run) if part.rows]  # fmt: skip
    state = None if record.base_version is None else open_table(record.table, record.base_version)
    if _may_donate(record, state):
        donors += _base_files(record)
    return write_twins(record, (batch.rows for batch in Changed(source, twins).batches()), donors)


def _may_donate(record: RunRecord, state: TableState | None) -> bool:
    """Whether vectors of the version that a run begins from are what it would make, and are to be used."""
    if state is None or record.mode == "replace":
        return False
    return state.fingerprint == record.spec.fingerprint


def _base_files(record: RunRecord) -> list[LiveFile]:
    return live_files(open_log(record.table, record.base_version), record.table)


def _digest(twins: Bits) -> str:
    return hashlib.blake2b(twins.dump(), digest_size=16).hexdigest()
