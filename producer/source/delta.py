"""A Delta table as a source: the files of one of its versions. Reads the log, no rows."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from producer.source.file import InTable, SourceFile
from producer.source.tree import tree_of
from schemas.errors import SourceError
from schemas.files.address import is_remote
from schemas.files.limits import FOR_DELTA
from schemas.files.stored import StoredFile
from schemas.run import SourceOptions

LOG_FOLDER = "_delta_log"
#: What a reader of the bare Parquet files may pass over; other features change which rows there are, or their names.
_HARMLESS = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "typeWidening"})
_PARTITION = "partition."


class TablePath(NamedTuple):
    """A Delta table as it is named on the command line; without a version, its latest."""

    folder: str
    version: int | None


def table_path(path: str) -> TablePath | None:
    """`folder` or `folder@version` where that is a Delta table, else None."""
    named = re.fullmatch(r"(.+)@(\d+)", path)
    tree = tree_of(path)
    if is_table(path):
        return TablePath(path, None)
    if named and not (tree.is_file(path) or tree.is_folder(path)) and is_table(named[1]):
        return TablePath(named[1], int(named[2]))
    return None


def is_table(folder: str) -> bool:
    """Whether there is a Delta log in the folder."""
    return tree_of(folder).is_folder(os.path.join(folder, LOG_FOLDER))


def delta_files(table: TablePath, root: str) -> Iterator[SourceFile]:
    """The files of a version, named from `root`."""
    log = _open(table)
    _check_plain(log, table.folder)
    schema = pa.schema(log.schema().to_arrow())
    for action in pa.table(log.get_add_actions(flatten=True)).to_pylist():
        path = os.path.join(table.folder, unquote(action["path"]))
        values = {
            name: pa.scalar(action[_PARTITION + name], schema.field(name).type)
            for name in log.metadata().partition_columns
        }
        stored = StoredFile(path, action["size_bytes"], "") if is_remote(path) else None
        yield SourceFile(path, os.path.relpath(path, root), "parquet", table=InTable(schema, values), stored=stored)


def pinned(options: SourceOptions) -> SourceOptions:
    """The options with the version of each Delta table in its path, so that a later reading finds the same rows."""
    return options.model_copy(update={"paths": tuple(map(_pinned, options.paths))})


def pinned_as(options: SourceOptions, before: SourceOptions) -> SourceOptions:
    """The options with the versions that `before` has, where they name the same tables without a version."""
    if len(options.paths) != len(before.paths):
        return options
    pairs = zip(options.paths, before.paths, strict=True)
    same = [then if re.fullmatch(re.escape(now) + r"@\d+", then) and is_table(now) else now for now, then in pairs]
    return options.model_copy(update={"paths": tuple(same)})


def _pinned(path: str) -> str:
    table = table_path(path)
    return path if table is None or table.version is not None else f"{path}@{_open(table).version()}"


def _open(table: TablePath) -> DeltaTable:
    options = FOR_DELTA if is_remote(table.folder) else None
    try:
        log = DeltaTable(table.folder, storage_options=options)
        if table.version is None:
            return log
        if table.version <= log.version():
            return DeltaTable(table.folder, version=table.version, storage_options=options)
    except (DeltaError, OSError) as error:
        raise SourceError(f"cannot read the Delta table {table.folder}: {error}") from error
    raise SourceError(
        f"{table.folder} has no version {table.version}; its latest is {log.version()}", way_out=f"{table.folder}@N"
    )


def _check_plain(log: DeltaTable, folder: str) -> None:
    """Refuse what is more than Parquet files: deletion vectors, mapped names and what may come."""
    protocol = log.protocol()
    unknown = sorted(set(protocol.reader_features or ()) - _HARMLESS)
    mapped = log.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    if unknown or mapped:
        raise SourceError(
            f"{folder} is a Delta table with {', '.join(unknown) or 'columnMapping'}, which is not read here",
            way_out="export the version you mean to Parquet",
        )
