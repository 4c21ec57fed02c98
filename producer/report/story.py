"""All that a report says of a run, gathered from its table: record, receipts, rows that failed, and a look at the rest.

What a vacuum has taken away cannot be told; then the rows are those of the version that the table has.
"""

import os
from dataclasses import dataclass

from producer.report.failed import Failed, failed_rows
from producer.report.lengths import Lengths, token_lengths
from producer.report.neighbours import Check, spot_checks
from producer.report.sample import Sample, take_sample
from producer.table import Version, committed_version, history, list_parts, open_table
from producer.table.codes import Coding
from producer.table.log import LiveFile, latest_log, live_files
from schemas.footer import read_versions
from schemas.receipt import Receipt, Totals
from schemas.run import RunRecord


@dataclass(frozen=True, slots=True)
class Story:
    """A run as it is now. `own` says whether the rows looked at are those that it embedded, or those of the table."""

    record: RunRecord
    committed: Version | None
    receipts: tuple[Receipt, ...]
    totals: Totals
    versions: dict[str, str]
    failed: Failed
    lengths: Lengths
    sample: Sample
    checks: tuple[Check, ...]
    own: bool


def tell(record: RunRecord) -> Story:
    """The story of a run, whether it is committed, still going on, or was given up."""
    table = record.table
    parts = [part for part in list_parts(table, record.run) if part.receipt.fingerprint == record.spec.fingerprint]
    files = [LiveFile(os.path.join(table, part.path), part.rows, part.size_bytes) for part in parts]
    log = None if files else latest_log(table)
    looked_at = files if log is None else live_files(log, table)
    coding = Coding(record.store, record.ranges) if files else Coding.of(open_table(table))
    totals = Totals()
    for part in parts:
        totals = totals.plus(part.receipt)
    sample = take_sample(looked_at, coding)
    return Story(
        record=record,
        committed=_commit(record),
        receipts=tuple(part.receipt for part in parts),
        totals=totals,
        versions=read_versions(looked_at[0].path) if looked_at else {},
        failed=failed_rows(table, record.run),
        lengths=token_lengths(looked_at),
        sample=sample,
        checks=tuple(spot_checks(sample, looked_at, coding)),
        own=bool(files),
    )


def _commit(record: RunRecord) -> Version | None:
    """The version that the run's commit made, as the log tells of it."""
    version = committed_version(record.table, record.run)
    if version is None:
        return None
    unknown = Version(version=version, at=0, operation="", run=record.run, fingerprint=None, rows=None, user=None)
    return next((one for one in history(record.table) if one.version == version), unknown)
