"""One pass over the source before anything is enqueued: how many rows there are, and that no id comes twice.

Knows the source, no queue and no table. Ids are counted by DuckDB, which goes to disk where they do
not fit into a small part of the memory; positions cannot come twice and are only counted.
"""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from producer.source import Source
from producer.source.refusal import no_rows
from schemas.errors import SourceError
from schemas.record import Record

#: Tried in turn. Hashes of 64 bits take little, so the first does for tens of millions of ids; what does not fit
#: is spilled, but the spilling itself needs some memory, and more of it for billions.
_MEMORY_LIMITS = ("64MB", "512MB", "8GB")
_SHOWN = 5
_SUSPECTS = 1_000
_SAME_HASH = f"""
    SELECT hash FROM (SELECT hash(id) AS hash FROM ids WHERE id IS NOT NULL)
    GROUP BY hash HAVING count(*) > 1 LIMIT {_SUSPECTS}
"""  # noqa: S608 - its numbers are the ones above
#: Two ids may share a hash by chance (one chance in 40 for a billion ids), so the ids themselves decide.
_SAME_ID = f"""
    SELECT id, count(*) AS times FROM ids WHERE hash(id) IN (SELECT unnest($suspects))
    GROUP BY id HAVING times > 1 ORDER BY times DESC, id LIMIT {_SHOWN}
"""  # noqa: S608


class Survey(Record):
    """What one pass over the source found; rows that cannot be embedded count, too, tombstones for themselves."""

    rows: int
    tombstones: int = 0


def survey(source: Source, *, on_progress: Callable[[int], None] | None = None) -> Survey:
    """Count the rows; a SourceError where there are none, or where ids come twice."""
    passing = _Passing(source, on_progress)
    if source.has_own_ids:
        suspects = _suspects(passing)
        if suspects:
            _refuse_duplicates(_Passing(source, None), suspects)
    else:
        passing.drain()
    if passing.rows == 0:
        raise no_rows(file.path for file in source.files[:3])
    tombstones = sum(map(len, source.tombstones()))
    return Survey(rows=passing.rows - tombstones, tombstones=tombstones)


class _Passing:
    """The ids of the source, counted as they pass."""

    def __init__(self, source: Source, on_progress: Callable[[int], None] | None) -> None:
        self.rows = 0
        self.error: SourceError | None = None
        self._source = source
        self._on_progress = on_progress

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every id once."""
        try:
            for ids in self._source.ids():
                self.rows += len(ids)
                if self._on_progress:
                    self._on_progress(self.rows)
                yield pa.RecordBatch.from_arrays([ids], names=["id"])
        except SourceError as error:
            # Kept aside: DuckDB, which reads this, would wrap it in an error of its own.
            self.error = error

    def drain(self) -> None:
        """Only count."""
        for _ in self.batches():
            pass
        self.raise_error()

    def raise_error(self) -> None:
        """What stopped the reading, if anything did."""
        if self.error:
            raise self.error


def _suspects(passing: _Passing) -> list[int]:
    """Hashes that come more than once; the pass is made again with more memory where that ran out."""
    for limit in _MEMORY_LIMITS:
        try:
            return [int(row[0]) for row in _ask(passing, _SAME_HASH, {}, limit)]
        except duckdb.OutOfMemoryException as error:
            passing.rows = 0
            reason = error
    raise SourceError(f"the ids cannot be checked for duplicates: {reason}", way_out="free memory, or disk in TMPDIR")


def _refuse_duplicates(passing: _Passing, suspects: list[int]) -> None:
    duplicates = _ask(passing, _SAME_ID, {"suspects": suspects}, _MEMORY_LIMITS[-1])
    if duplicates:
        shown = ", ".join(f"{id_} ({times} times)" for id_, times in duplicates)
        raise SourceError(
            f"ids come more than once in the source: {shown}",
            way_out="choose another --id-column, or make the ids unique",
        )


def _ask(passing: _Passing, query: str, parameters: dict[str, Any], memory_limit: str) -> list[tuple[Any, ...]]:
    """What a query over the ids gives; DuckDB spills to a private folder what its memory does not hold."""
    ids = pa.RecordBatchReader.from_batches(pa.schema([pa.field("id", pa.string())]), passing.batches())
    with tempfile.TemporaryDirectory(prefix="vecmill-survey-") as folder:
        # One thread: each has buffers of its own, and reading the source is slower than counting its ids anyway.
        settings = {
            "memory_limit": memory_limit, "threads": 1, "temp_directory": folder, "preserve_insertion_order": "false"
        }  # fmt: skip
        with duckdb.connect(config=settings) as connection:
            connection.register("ids", ids)
            rows: list[tuple[Any, ...]] = connection.execute(query, parameters).fetchall()
    passing.raise_error()
    return rows
