"""One pass over the source before anything is enqueued: how many rows there are, and that no id comes twice.

Knows the source, no queue and no table. Ids are counted by DuckDB, which goes to disk where they do
not fit into a small part of the memory; positions cannot come twice and are only counted.
"""

import tempfile
from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa

from producer.source import Source
from schemas.errors import SourceError
from schemas.record import Record

_MEMORY_LIMIT = "128MB"
_SHOWN = 5
_DUPLICATES = f"""
    SELECT id, count(*) AS times FROM ids WHERE id IS NOT NULL
    GROUP BY id HAVING times > 1 ORDER BY times DESC, id LIMIT {_SHOWN}
"""


class Survey(Record):
    """What one pass over the source found; rows that cannot be embedded count, too."""

    rows: int


def survey(source: Source, *, on_progress: Callable[[int], None] | None = None) -> Survey:
    """Count the rows; a SourceError where there are none, or where ids come twice."""
    passing = _Passing(source, on_progress)
    if source.has_own_ids:
        _refuse_duplicates(passing)
    else:
        passing.drain()
    if passing.rows == 0:
        raise SourceError(f"there are no rows in the source ({source.files[0].path}, ...)")
    return Survey(rows=passing.rows)


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


def _refuse_duplicates(passing: _Passing) -> None:
    ids = pa.RecordBatchReader.from_batches(pa.schema([pa.field("id", pa.string())]), passing.batches())
    with tempfile.TemporaryDirectory(prefix="vecmill-survey-") as folder:
        settings = {"memory_limit": _MEMORY_LIMIT, "temp_directory": folder, "preserve_insertion_order": "false"}
        with duckdb.connect(config=settings) as connection:
            connection.register("ids", ids)
            duplicates = connection.execute(_DUPLICATES).fetchall()
    passing.raise_error()
    if duplicates:
        shown = ", ".join(f"{id_} ({times} times)" for id_, times in duplicates)
        raise SourceError(
            f"ids come more than once in the source: {shown}",
            way_out="choose another --id-column, or make the ids unique",
        )
