"""Streams of keys set against each other by DuckDB, which goes to disk where a small memory does not hold them.

Knows keys and queries, not where the keys come from.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import is_chunked
from schemas.errors import VecmillError

#: Tried in turn; spilling itself needs some memory, and more of it the more there is.
MEMORY_LIMITS = ("64MB", "512MB", "8GB")
#: What names a chunk, its row number in whatever it comes from, and the hash of its text.
KEYS = pa.schema([("at", pa.int64()), ("id", pa.string()), ("chunk", pa.int32()), ("hash", pa.binary())])

_ANSWER_ROWS = 65_536


def placed(rows: pa.RecordBatch, hashes: pa.Array) -> pa.Array:
    """The text hashes of some rows; of chunks, with the place where each begins in its text."""
    if not is_chunked(rows.schema):
        return hashes
    starts = rows.column("start").cast(pa.string()).cast(pa.binary())
    return pc.binary_join_element_wise(hashes, starts, pa.scalar(b"@", pa.binary()))


Keys = Callable[[], Iterator[pa.RecordBatch]]
T = TypeVar("T")


def join(query: str, streams: Mapping[str, Keys], collect: Callable[[Iterator[pa.RecordBatch]], T]) -> T:
    """What `collect` makes of the query's answer; all is done again, with more memory, where that ran out."""
    for limit in MEMORY_LIMITS:
        try:
            return _attempt(query, streams, collect, limit)
        except duckdb.OutOfMemoryException as error:
            reason = error
    raise VecmillError(f"the rows cannot be compared: {reason}", way_out="free memory, or disk in TMPDIR")


def _attempt(
    query: str, streams: Mapping[str, Keys], collect: Callable[[Iterator[pa.RecordBatch]], T], memory_limit: str
) -> T:
    watched = {name: _Watched(keys) for name, keys in streams.items()}
    with tempfile.TemporaryDirectory(prefix="vecmill-join-") as folder:
        # One thread: each has buffers of its own, and reading what is compared takes longer than comparing it.
        settings = {
            "memory_limit": memory_limit, "threads": 1, "temp_directory": folder, "preserve_insertion_order": "false"
        }  # fmt: skip
        with duckdb.connect(config=settings) as connection:
            for name, keys in watched.items():
                connection.register(name, pa.RecordBatchReader.from_batches(KEYS, keys.batches()))
            collected = collect(connection.sql(query).to_arrow_reader(_ANSWER_ROWS))
    for keys in watched.values():
        if keys.error is not None:
            raise keys.error
    return collected


class _Watched:
    """A stream whose error is kept aside: DuckDB, which reads it, would wrap it in an error of its own."""

    def __init__(self, keys: Keys) -> None:
        self.error: VecmillError | None = None
        self._keys = keys

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What the stream gives, up to its error."""
        try:
            yield from self._keys()
        except VecmillError as error:
            self.error = error
