"""A finished run becomes one version of the table. Knows the Delta log and the parts' footers, not their rows.

Before the commit no Delta reader sees anything of the run; after it, all. The run's id is the commit's
application transaction, so a run that is committed already is found out and not committed again.
"""

import os
from collections.abc import Iterable, Sequence

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import create_table_with_add_actions

from producer.table.actions import Coming, properties
from producer.table.base import check_moves
from producer.table.log import RUN_KEY, entries_of, latest_log, open_log, storage
from producer.table.parts import Part
from producer.table.step import publish_step
from producer.table.twins import NO_TWINS, TwinFiles
from schemas.errors import RunFailed
from schemas.files.trouble import telling
from schemas.footer import read_footer
from schemas.run import RunRecord

_TRIES = 5


def commit(record: RunRecord, parts: Sequence[Part], twins: TwinFiles = NO_TWINS) -> int:
    """Publish the parts and the twins of a run; gives the version they are in, also where that was done before.

    A run that changes no row of the table makes no version; what it gives is the present one.
    """
    parts = sorted(parts, key=lambda part: part.receipt.job)
    for _ in range(_TRIES):
        log = latest_log(record.table)
        if log is not None and log.transaction_version(record.run) is not None:
            return _version_of(log, record)
        _check_complete(record, parts)
        _check_twins(record, twins)
        check_moves(record, log)
        try:
            with telling(record.table):
                published = _publish(record, [part for part in parts if part.rows], twins, log)
        except DeltaError as error:
            # Another commit came first: look at the table as it is now.
            reason = error
            continue
        now = open_log(record.table)
        return _version_of(now, record) if published else now.version()
    raise RunFailed(
        f"run {record.run} could not be committed to {record.table} in {_TRIES} tries: {reason}",
        way_out=f"its parts are kept: vecmill resume {record.run}",
    )


def committed_version(table: str, run: str) -> int | None:
    """The version a run was committed as, or None where it was not."""
    return committed_versions(table, [run]).get(run)


def committed_versions(table: str, runs: Iterable[str]) -> dict[str, int]:
    """The versions of those of the runs that were committed; the log is read once, however many are asked for."""
    log = latest_log(table)
    if log is None:
        return {}
    told = {entry[RUN_KEY]: int(entry["version"]) for entry in entries_of(log, table) if RUN_KEY in entry}
    # A run's transaction outlives its commit in the log, but each question goes through all transactions.
    kept = (run for run in runs if run in told or log.transaction_version(run) is not None)
    return {run: told.get(run, log.version()) for run in kept}


def _publish(record: RunRecord, parts: list[Part], twins: TwinFiles, log: DeltaTable | None) -> bool:
    if record.step is not None and log is not None:
        return publish_step(record, record.step, Coming(parts, twins.files), log)
    _check_any(record, parts)
    schema = Schema.from_arrow(_schema(record, parts[0]))
    coming = Coming(parts, twins.files)
    actions, said = coming.actions(), properties(record, coming.rows)
    if log is None:
        create_table_with_add_actions(
            record.table, schema, actions, mode="error", commit_properties=said, storage_options=storage(record.table)
        )
    else:
        # "overwrite" removes every file of the version that was read, and takes over the schema.
        log.create_write_transaction([*actions], "overwrite", schema, partition_by=[], commit_properties=said)
    return True


def _schema(record: RunRecord, part: Part) -> pa.Schema:
    footer = read_footer(os.path.join(record.table, part.path))
    if footer is None:
        raise RunFailed(f"{part.path} in {record.table} has gone since it was listed", way_out="resume the run")
    return footer.schema


def _check_complete(record: RunRecord, parts: list[Part]) -> None:
    """Refuse to publish less than the run is, or what was made with another spec."""
    receipts = [part.receipt for part in parts]
    foreign = next((one for one in receipts if one.fingerprint != record.spec.fingerprint), None)
    if foreign is not None:
        raise RunFailed(f"the part of job {foreign.job} was made with another spec ({foreign.fingerprint})")
    expected: tuple[int, ...] = (0, 0, 0)
    for receipt in receipts:
        if receipt.source.start != expected:
            break
        expected = receipt.source.end
    else:
        if expected[2] == record.end:
            return
    raise RunFailed(
        f"run {record.run} is not complete: {expected[2]} of its {record.end} rows are in parts, up to a missing one",
        way_out=f"vecmill resume {record.run}",
    )


def _check_twins(record: RunRecord, twins: TwinFiles) -> None:
    expected = 0 if record.twins is None else record.twins.rows
    if twins.rows + twins.failed != expected:
        raise RunFailed(
            f"run {record.run} is not complete: of {expected} rows that share a text, {twins.rows} have a vector",
            way_out=f"vecmill resume {record.run}",
        )


def _check_any(record: RunRecord, parts: list[Part]) -> None:
    if not any(part.rows for part in parts):
        raise RunFailed(
            f"no row of run {record.run} has a vector: nothing to commit, the table stays as it is",
            way_out=f"the reasons are in {os.path.join(record.table, '_errors', record.run)}",
        )


def _version_of(log: DeltaTable, record: RunRecord) -> int:
    """The version that a run's commit made; the present one where the log no longer reaches back to it."""
    entries = entries_of(log, record.table)
    return next((int(entry["version"]) for entry in entries if entry.get(RUN_KEY) == record.run), log.version())
