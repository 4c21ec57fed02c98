"""Streams of keys set against each other by DuckDB, which goes to disk where a small memory does not hold them.

Knows keys and queries, not where the keys come from. Many millions of keys are too much even for that: they are kept on
the disk first, and joined in shares.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import is_chunked
from schemas.errors import VecmillError

#: What a join is tried with at first: it does for some millions of keys.
_FIRST_LIMIT = "64MB"
_MOST_AT_ONCE = 4_000_000
#: Tried in turn for shares; ids that are hundreds of characters long need more.
_SHARE_LIMITS = ("64MB", "128MB", "512MB", "8GB")
#: What names a chunk, its row number in whatever it comes from, and the hash of its text.
KEYS = pa.schema([("at", pa.int64()), ("id", pa.string()), ("chunk", pa.int32()), ("hash", pa.binary())])

#: About so many keys of a stream are joined at once. Each share reads all that is kept, so they are not many.
_SHARE_ROWS = 1_000_000
_MOST_SHARES = 32
_ANSWER_ROWS = 65_536


def placed(rows: pa.RecordBatch, hashes: pa.Array) -> pa.Array:
    """The text hashes of some rows; of chunks, with the place where each begins in its text."""
    if not is_chunked(rows.schema):
        return hashes
    starts = rows.column("start").cast(pa.string()).cast(pa.binary())
    return pc.binary_join_element_wise(hashes, starts, pa.scalar(b"@", pa.binary()))


Keys = Callable[[], Iterator[pa.RecordBatch]]
T = TypeVar("T")


def join(
    query: str,
    streams: Mapping[str, Keys],
    collect: Callable[[Iterator[pa.RecordBatch]], T],
    *,
    by: Literal["id", "hash"] = "id",
    rows: int = 0,
) -> T:
    """What `collect` makes of the query's answer; all is done again, in another way, where the memory ran out.

    The query may be asked of the keys in shares, and its answers put together: so what it joins or groups by must be
    `by`, or more than that. It reads each stream once. `rows`: how many one has, where that is known.
    """
    with tempfile.TemporaryDirectory(prefix="vecmill-join-") as folder:
        if rows <= _MOST_AT_ONCE:
            with suppress(duckdb.OutOfMemoryException):
                return _at_once(folder, query, streams, collect)
        with _connected(folder, _FIRST_LIMIT) as connection:
            shares = _keep(connection, streams, by)
        for limit in _SHARE_LIMITS:
            try:
                with _connected(folder, limit) as connection:
                    return collect(_answers(connection, query, streams, shares))
            except duckdb.OutOfMemoryException as error:
                reason = error
    raise VecmillError(f"the rows cannot be compared: {reason}", way_out="free memory, or disk in TMPDIR")


def _connected(folder: str, limit: str, name: str = "keys.duckdb") -> Any:
    # One thread: each has buffers of its own, and reading what is compared takes longer than comparing it.
    settings = {"memory_limit": limit, "threads": 1, "temp_directory": folder, "preserve_insertion_order": "false"}
    return duckdb.connect(name if name == ":memory:" else os.path.join(folder, name), config=settings)


def _at_once(
    folder: str, query: str, streams: Mapping[str, Keys], collect: Callable[[Iterator[pa.RecordBatch]], T]
) -> T:
    watched = {name: _Watched(keys) for name, keys in streams.items()}
    with _connected(folder, _FIRST_LIMIT, ":memory:") as connection:
        for name, keys in watched.items():
            connection.register(name, pa.RecordBatchReader.from_batches(KEYS, keys.batches()))
        collected = collect(connection.sql(query).to_arrow_reader(_ANSWER_ROWS))
    for keys in watched.values():
        keys.check()
    return collected


def _keep(connection: Any, streams: Mapping[str, Keys], by: str) -> int:
    """Write the keys down; gives in how many shares they are to be joined."""
    # The names in these statements are this package's own.
    most = 0
    for name, keys in streams.items():
        watched = _Watched(keys)
        connection.register("stream", pa.RecordBatchReader.from_batches(KEYS, watched.batches()))
        _execute(connection, f"CREATE TABLE all_{name} AS SELECT *, hash({by}) AS share FROM stream")  # noqa: S608
        connection.unregister("stream")
        watched.check()
        most = max(most, _execute(connection, f"SELECT count(*) FROM all_{name}")[0][0])  # noqa: S608
    return min(max(-(-most // _SHARE_ROWS), 1), _MOST_SHARES)


def _answers(connection: Any, query: str, names: Iterable[str], shares: int) -> Iterator[pa.RecordBatch]:
    for share in range(shares):
        for name in names:
            some = f"SELECT * EXCLUDE share FROM all_{name} WHERE share % {shares} = {share}"  # noqa: S608
            _execute(connection, f"CREATE OR REPLACE TEMP VIEW {name} AS {some}")
        yield from connection.sql(query).to_arrow_reader(_ANSWER_ROWS)


def _execute(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    return rows


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

    def check(self) -> None:
        """Raise that error."""
        if self.error is not None:
            raise self.error
