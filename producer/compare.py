"""What differs between a source and a version of a table, as two streams of keys. Knows no files and no run.

The answer depends on which keys there are, not on their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from producer.bits import Bits
from producer.join import Keys, join

#: Rows of the source without an id or without a text equal nothing, so they are tried again each time.
_DIFFERING = """
    SELECT source.at AS source_at, version.at AS version_at
    FROM source FULL JOIN version ON source.id = version.id AND source.chunk = version.chunk
    WHERE (source.hash = version.hash) IS NOT TRUE
"""


#: Of the chunks that the source lacks, those of texts that it has.
_LEFT_BEHIND = """
    SELECT version.at AS at, source.hash IS NOT NULL AS readable
    FROM version JOIN source ON version.id = source.id
"""


#: Of the chunks that the source lacks, those that it has a tombstone for.
_BURIED = "SELECT version.at AS at FROM version SEMI JOIN tombstones ON version.id = tombstones.id"


@dataclass(frozen=True, slots=True)
class Difference:
    """Row numbers of the source that are new or changed, and row numbers of the version that the source lacks."""

    embed: Bits
    absent: Bits
    new: int
    changed: int


def compare(source: Keys, version: Keys, *, source_rows: int, version_rows: int) -> Difference:
    """Set a source against a version."""

    def collect(answer: Iterator[pa.RecordBatch]) -> Difference:
        embed, absent = Bits(source_rows), Bits(version_rows)
        new = changed = 0
        for batch in answer:
            here, there = batch.column("source_at"), batch.column("version_at")
            embed.add(_numbers(here))
            absent.add(_numbers(there.filter(pc.is_null(here))))
            known = pc.sum(pc.is_valid(there.filter(pc.is_valid(here)))).as_py() or 0
            changed += known
            new += len(here) - here.null_count - known
        return Difference(embed, absent, new, changed)

    streams = {"source": source, "version": version}
    return join(_DIFFERING, streams, collect, rows=max(source_rows, version_rows))


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Chunks of the version that texts of the source no longer have, and those of texts that cannot be read now."""

    cut_off: Bits
    unreadable: Bits


def left_behind(firsts: Keys, lacking: Keys, version_rows: int) -> LeftBehind:
    """Look for the texts of `lacking` chunks of a version among the first chunks of all texts of the source."""

    def collect(answer: Iterator[pa.RecordBatch]) -> LeftBehind:
        cut_off, unreadable = Bits(version_rows), Bits(version_rows)
        for batch in answer:
            readable = batch.column("readable")
            cut_off.add(_numbers(batch.column("at").filter(readable)))
            unreadable.add(_numbers(batch.column("at").filter(pc.invert(readable))))
        return LeftBehind(cut_off, unreadable)

    return join(_LEFT_BEHIND, {"source": firsts, "version": lacking}, collect)


def buried(tombstones: Keys, lacking: Keys, version_rows: int) -> Bits:
    """The `lacking` chunks of a version whose ids have tombstones."""

    def collect(answer: Iterator[pa.RecordBatch]) -> Bits:
        found = Bits(version_rows)
        for batch in answer:
            found.add(_numbers(batch.column("at")))
        return found

    return join(_BURIED, {"version": lacking, "tombstones": tombstones}, collect)


def _numbers(column: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.asarray(column.drop_null().to_numpy(zero_copy_only=False), dtype=np.int64)
