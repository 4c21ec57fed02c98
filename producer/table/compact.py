"""Merging the small files of a table into big ones, in the order they are read in. Knows files and the log, no run.

A merged file takes the name of the first file in it with the version and a random number between, so it is read where
that one was, and two who compact at once never write one file. Rows and their order stay, so runs in progress can be
committed on top.
"""

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from producer.table.actions import file_added, file_removed, upkeep
from producer.table.copying import batches_of, coarseness, write_rows
from producer.table.keys import count_rows, rows_in
from producer.table.log import LiveFile, live_files, logged_paths, open_log
from schemas.errors import TableError
from schemas.files import size_of, written
from schemas.files.trouble import telling

#: How big files become, at most; unless one was bigger already.
TARGET_BYTES = 256 << 20
_TRIES = 3


class Compacted(NamedTuple):
    """How many files became how many; and the version that has them."""

    before: int
    after: int
    version: int


def compact(table: str, *, target_bytes: int = TARGET_BYTES) -> Compacted:
    """Merge what can be merged, in one commit; no commit where nothing can."""
    for _ in range(_TRIES):
        log = open_log(table)
        groups = list(_groups(live_files(log, table), target_bytes))
        before = sum(map(len, groups))
        groups = [group for group in groups if len(group) > 1]
        if not groups:
            return Compacted(before, before, log.version())
        try:
            with telling(table):
                _publish(log, table, groups)
        except DeltaError as error:
            # A run was committed meanwhile: it may have taken rows out of what was merged.
            reason = error
            continue
        return Compacted(before, before - sum(len(group) - 1 for group in groups), open_log(table).version())
    raise TableError(
        f"{table} got new versions while it was compacted, {_TRIES} times: {reason}",
        way_out="compact it when fewer runs are committed",
    )


def _groups(files: Sequence[LiveFile], target_bytes: int) -> Iterator[list[LiveFile]]:
    """Neighbours that together are no bigger than the target."""
    group: list[LiveFile] = []
    size = 0
    for file in files:
        if group and size + file.size_bytes > target_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size_bytes
    if group:
        yield group


def _publish(log: DeltaTable, table: str, groups: Sequence[Sequence[LiveFile]]) -> None:
    merged = [_merge(group, table, log.version() + 1) for group in groups]
    logged = logged_paths(log, table)
    now_ms = int(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = [
        *(file_added(file, now_ms, new_rows=False) for file in merged),
        *(
            file_removed(logged[file.path], file.size_bytes, now_ms, rows_go=False)
            for file in chain.from_iterable(groups)
        ),
    ]
    log.create_write_transaction(
        actions, "append", log.schema(), partition_by=[], commit_properties=upkeep("compact")
    )  # fmt: skip


def _merge(files: Sequence[LiveFile], table: str, version: int) -> LiveFile:
    """One file with the rows of some, and the footer of the one whose vectors are the coarsest."""
    first = os.path.relpath(files[0].path, table)
    folder, name = os.path.split(first)
    path = os.path.join(folder, f"{name.split('.')[0]}.merged-{version:08d}-{secrets.token_hex(4)}.parquet")
    whole = os.path.join(table, path)
    try:
        with written(whole) as stream:
            write_rows(stream, _rows(files), like=max(files, key=coarseness).path)
    except (pa.ArrowException, OSError) as error:
        raise TableError(
            f"cannot write {whole}: {error}", way_out="vecmill verify, and see whether the disk is full"
        ) from error
    rows = rows_in(whole)
    expected = sum(map(count_rows, files))
    if rows != expected:
        raise TableError(f"{expected} rows were merged from {first} on, but {rows} came out", way_out="vecmill verify")
    return LiveFile(path, rows, size_of(whole))


def _rows(files: Sequence[LiveFile]) -> Iterator[pa.RecordBatch]:
    for file in files:
        yield from batches_of(file.path)
