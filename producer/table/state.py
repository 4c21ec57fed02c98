"""What a table is before a run begins: its version, and how its vectors were made and stored. Changes nothing."""

import os
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pydantic import TypeAdapter, ValidationError

from producer.table.log import (
    FINGERPRINT_KEY,
    RANGES_KEY,
    RUN_KEY,
    SPEC_KEY,
    STORE_KEY,
    commit_of,
    entries_of,
    latest_log,
    live_files,
)
from schemas.errors import TableError
from schemas.files import names_in, opened, read_bytes
from schemas.footer import read_footer
from schemas.run import RunRecord
from schemas.spec import Spec
from schemas.store import Ranges, Store


@dataclass(frozen=True, slots=True)
class TableState:
    """A table at its latest version; `run` is the one whose rows it has, `rows` how many these are."""

    version: int
    run: str
    fingerprint: str
    spec: Spec
    store: Store
    ranges: Ranges | None
    schema: pa.Schema
    rows: int


def open_table(table: str, version: int | None = None) -> TableState | None:
    """The state of a table; None where nothing was committed yet, a TableError where the table is not ours."""
    log = latest_log(table, version)
    if log is None:
        return None
    made = _from_history(log, table) or _from_footer(log, table) or _from_records(log, table) or _foreign(table)
    rows = sum(file.rows or 0 for file in live_files(log, table))
    schema = pa.schema(log.schema().to_arrow())
    return TableState(log.version(), **made._asdict(), schema=schema, rows=rows)


def read_record(table: str, run: str) -> RunRecord | None:
    """The record of a run, or None where there is none that can be read."""
    text = read_bytes(os.path.join(table, "_runs", f"{run}.json"))
    try:
        return None if text is None else RunRecord.model_validate_json(text)
    except ValidationError:
        return None


class _Made(NamedTuple):
    """By which run, and how."""

    run: str
    fingerprint: str
    spec: Spec
    store: Store
    ranges: Ranges | None


def _from_history(log: DeltaTable, table: str) -> _Made | None:
    commit = commit_of(entries_of(log, table), log.version())
    if commit is None or SPEC_KEY not in commit:
        return None
    return _made(commit[RUN_KEY], commit[FINGERPRINT_KEY], commit, table)


def _from_footer(log: DeltaTable, table: str) -> _Made | None:
    """Old logs are cleaned away; the parts still say what they are, unless they were compacted."""
    file = next(iter(live_files(log, table)), None)
    footer = read_footer(file.path) if file else None
    if file is None or footer is None:
        return None
    with opened(file.path) as stream:
        metadata = pq.read_metadata(stream).metadata
    said = {key.decode(): text.decode(errors="replace") for key, text in metadata.items()}
    return _made(footer.receipt.run, footer.receipt.fingerprint, said, table)


def _made(run: str, fingerprint: str, said: dict[str, str], table: str) -> _Made:
    """The first versions named no store; the run's record does."""
    record = None if STORE_KEY in said else read_record(table, run)
    named = said.get(STORE_KEY) or (record.store if record else "float32")
    ranges = Ranges.model_validate_json(said[RANGES_KEY]) if RANGES_KEY in said else None
    return _Made(run, fingerprint, Spec.model_validate_json(said[SPEC_KEY]), _STORE.validate_python(named), ranges)


def _from_records(log: DeltaTable, table: str) -> _Made | None:
    """The last committed run: its transaction stays in the log for good."""
    names = names_in(os.path.join(table, "_runs"))
    records = [read_record(table, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    committed = [one for one in records if one is not None and log.transaction_version(one.run) is not None]
    last = max(committed, key=lambda record: record.created_at, default=None)
    return None if last is None else _Made(last.run, last.spec.fingerprint, last.spec, last.store, last.ranges)


def _foreign(table: str) -> _Made:
    raise TableError(f"{table} is a Delta table, but no run of Vecmill is in it", way_out="choose another folder")


_STORE: TypeAdapter[Store] = TypeAdapter(Store)
