"""What a table is before a run begins: its version, and the spec its vectors were made with. Changes nothing."""

import os
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pydantic import ValidationError

from producer.table.log import FINGERPRINT_KEY, RUN_KEY, SPEC_KEY, commit_of, live_files
from schemas.errors import TableError
from schemas.footer import read_footer
from schemas.receipt import SPEC_KEY as FOOTER_SPEC_KEY
from schemas.run import RunRecord
from schemas.spec import Spec


@dataclass(frozen=True, slots=True)
class TableState:
    """A table at its latest version; `run` is the one whose rows it has, `rows` how many these are."""

    version: int
    run: str
    fingerprint: str
    spec: Spec
    schema: pa.Schema
    rows: int


def open_table(table: str, version: int | None = None) -> TableState | None:
    """The state of a table; None where nothing was committed yet, a TableError where the table is not ours."""
    if not DeltaTable.is_deltatable(table):
        return None
    log = DeltaTable(table, version=version)
    run, fingerprint, spec = (
        _from_history(log) or _from_footer(log, table) or _from_records(log, table) or _foreign(table)
    )
    rows = sum(file.rows or 0 for file in live_files(log, table))
    return TableState(log.version(), run, fingerprint, spec, pa.schema(log.schema().to_arrow()), rows)


def read_record(table: str, run: str) -> RunRecord | None:
    """The record of a run, or None where there is none that can be read."""
    try:
        with open(os.path.join(table, "_runs", f"{run}.json"), "rb") as stream:
            return RunRecord.model_validate_json(stream.read())
    except (FileNotFoundError, ValidationError):
        return None


_Made = tuple[str, str, Spec]


def _from_history(log: DeltaTable) -> _Made | None:
    commit = commit_of(log.history(), log.version())
    if commit is None or SPEC_KEY not in commit:
        return None
    return commit[RUN_KEY], commit[FINGERPRINT_KEY], Spec.model_validate_json(commit[SPEC_KEY])


def _from_footer(log: DeltaTable, table: str) -> _Made | None:
    """Old logs are cleaned away; the parts still say what they are, unless they were compacted."""
    file = next(iter(live_files(log, table)), None)
    footer = read_footer(file.path) if file else None
    if file is None or footer is None:
        return None
    spec = Spec.model_validate_json(pq.read_metadata(file.path).metadata[FOOTER_SPEC_KEY])
    return footer.receipt.run, footer.receipt.fingerprint, spec


def _from_records(log: DeltaTable, table: str) -> _Made | None:
    """The last committed run: its transaction stays in the log for good."""
    folder = os.path.join(table, "_runs")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    records = [read_record(table, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    committed = [one for one in records if one is not None and log.transaction_version(one.run) is not None]
    last = max(committed, key=lambda record: record.created_at, default=None)
    return None if last is None else (last.run, last.spec.fingerprint, last.spec)


def _foreign(table: str) -> _Made:
    raise TableError(f"{table} is a Delta table, but no run of Vecmill is in it", way_out="choose another folder")
