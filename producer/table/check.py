"""Whether a table can take a run, asked before anything is enqueued. Changes nothing on the disk."""

import os
import re

import pyarrow as pa
from deltalake import Schema
from deltalake.transaction import create_table_with_add_actions

from producer.table.spec_changes import spec_changes
from producer.table.state import TableState, open_table
from producer.table.user import user_name
from schemas.arrow import UNKNOWN
from schemas.errors import TableError
from schemas.files import names_in
from schemas.files.address import is_remote
from schemas.run import Mode
from schemas.spec import Spec
from schemas.store import CALIBRATED, Store

#: In the path of a folder: what delta-rs reads as something else, so that its log is written beside, or has no history.
_MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[#?\\\x00-\x1f\x7f]")
_REPLACE = "--mode replace embeds everything into the next version; or choose another table"


def check_table(
    table: str, *, spec: Spec, schema: pa.Schema, mode: Mode, store: Store = "float32"
) -> TableState | None:
    """The table's state, None for a new one; a TableError where it cannot take a run that writes this schema."""
    _check_ours(table)
    check_writable(table)
    state = open_table(table)
    if state is None or mode == "replace":
        _check_columns(schema)
        return state
    if state.store != store:
        raise TableError(f"{table} keeps its vectors as {state.store}, the run asks for {store}", way_out=_REPLACE)
    differing = _differing_columns(state.schema, schema)
    if differing:
        way_out = f"choose the table's columns (--keep, --keep-text); {_REPLACE}"
        raise TableError(f"{table} has other columns than the run: {'; '.join(differing)}", way_out=way_out)
    if store in CALIBRATED and state.ranges is None and state.fingerprint == spec.fingerprint:
        raise TableError(f"the ranges of the {store} codes in {table} are lost: none can be added", way_out=_REPLACE)
    return state


def check_covered(table: str, *, state: TableState, spec: Spec, mode: Mode, absent: int) -> None:
    """Refuse an upsert that would leave vectors of two specs in one version; `absent` rows the source cannot renew."""
    if mode != "upsert" or not absent or state.fingerprint == spec.fingerprint:
        return
    changes = "\n".join(f"    {line}" for line in spec_changes(state.spec, spec))
    raise TableError(
        f"{table} holds vectors that were made otherwise:\n{changes}\n"
        f"and {absent} of its rows are not in this source, so they cannot be embedded again",
        way_out="--mode sync drops those rows, --mode replace makes the table anew; or choose another table",
    )


def _check_columns(schema: pa.Schema) -> None:
    """Make a table of these columns in memory: what delta-rs refuses of them would be known at the commit otherwise."""
    try:
        create_table_with_add_actions("memory:///", Schema.from_arrow(schema), [], mode="error")
    except Exception as error:  # of no kind of its own
        said = str(error).partition("\n")[0].rpartition("error: ")[2]
        raise TableError(
            f"a Delta table cannot have these columns: {said}", way_out="leave the column out of --keep"
        ) from error


def _differing_columns(table: pa.Schema, run: pa.Schema) -> list[str]:
    """Compared as Delta sees them: it knows no names of list elements and no order of columns.

    A column whose type the source does not tell, having no rows but tombstones, is as the table has it.
    """
    known = {field.name: field for field in table}
    run = pa.schema([known.get(field.name, field) if field.metadata == UNKNOWN else field for field in run])
    ours, theirs = (
        {field.name: str(field.type) for field in Schema.from_arrow(schema).fields} for schema in (table, run)
    )
    return [
        f"{name} is {ours.get(name, 'missing')} in the table, {theirs.get(name, 'missing')} in the run"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]


def check_writable(table: str) -> None:
    """Raise `TableError` or `BucketError` where nothing can be written."""
    if is_remote(table):
        # Only who names a bucket loads the client.
        from schemas.files.bucket import check_bucket

        check_bucket(table)
        return
    folder = os.path.abspath(table)
    misread = _MISREAD.search(folder)
    if misread is not None:
        raise TableError(
            f"cannot write the table {folder!r}: its log cannot lie below a folder with {misread[0]!r} in its name",
            way_out="choose another folder",
        )
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise TableError(f"cannot write the table {table}: {folder} is a file", way_out="choose another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TableError(
            f"cannot write the table {table}: user {user_name()} may not write in {folder}",
            way_out="choose another folder, or change its permissions",
        )


def _check_ours(table: str) -> None:
    """A folder may hold a table, or runs that were not committed; anything else is not ours to write between."""
    names = {name for name in names_in(table) if not name.startswith(".")}
    if "_delta_log" in names:
        return
    known = {name.removesuffix(".json") for name in names_in(os.path.join(table, "_runs"))}
    others = sorted(names - known - {"_runs", "_errors", "_ranges"})
    if others:
        raise TableError(
            f"{table} is no table and holds other things: {', '.join(others[:5])}",
            way_out="choose an empty or a new folder",
        )
