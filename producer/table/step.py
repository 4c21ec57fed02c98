"""Publishing a run on top of a version: its parts come in, the rows that they replace or that are deleted go.

Rows are found by their keys in the version that is there now, so it does not matter in which files they lie.
"""

import time
from collections.abc import Iterator

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from producer.table.actions import Coming, file_added, file_removed, properties
from producer.table.keys import keys_of
from producer.table.log import LiveFile, live_files, logged_paths, open_log
from producer.table.planned import load_plan
from producer.table.rewrite import without
from schemas.errors import RunFailed
from schemas.run import Changes, RunRecord


def publish_step(record: RunRecord, changes: Changes, coming: Coming, log: DeltaTable) -> bool:
    """One atomic commit; False where no row comes or goes, so that there is nothing to commit."""
    if not coming.rows and not changes.deleted:
        return False
    files = live_files(log, record.table)

    def outgoing() -> Iterator[pa.RecordBatch]:
        yield from keys_of(coming.files(record.table))
        yield from _deleted(record, changes)

    rewritten = without(files, outgoing, table=record.table, run=record.run, version=log.version())
    now_ms = int(time.time() * 1000)
    # The log's own spelling of a path: it may be escaped, and a removal must name it as it is.
    logged = logged_paths(log, record.table)
    actions: list[AddAction | RemoveAction] = [
        *coming.actions(),
        *(file_added(file, now_ms) for file in rewritten.kept),
        *(file_removed(logged[file.path], file.size_bytes, now_ms) for file in rewritten.gone),
    ]
    log.create_write_transaction(
        actions, "append", log.schema(), partition_by=[], commit_properties=properties(record, coming.rows)
    )
    return True


def _deleted(record: RunRecord, changes: Changes) -> Iterator[pa.RecordBatch]:
    """The keys of the rows that left the source, out of the version that the run began from."""
    if not changes.deleted:
        return
    planned = load_plan(record, changes)
    if planned is None:
        raise RunFailed(
            f"{record.plan_path} in {record.table} has gone, so what is to be deleted is not known",
            way_out=f"vecmill resume {record.run} makes it again",
        )
    files: list[LiveFile] = live_files(open_log(record.table, record.base_version), record.table)
    yield from keys_of(files, only=planned.delete)
