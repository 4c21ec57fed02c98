"""How far a run is: as its ledger says while Redis knows it, else as its parts say."""

from collections import Counter
from collections.abc import Iterator

from producer.broker import Broker
from producer.carry_out import receipts
from producer.ledger import Ledger, Progress, living_workers, malformed, queued
from producer.table import committed_version
from schemas.record import Record
from schemas.run import RunRecord


class RunStatus(Record):
    """One run at one moment. `source` says where this was read: the ledger in Redis, or the parts in the table."""

    run: str
    table: str
    state: str
    source: str
    rows: int
    rows_done: int
    twins: int = 0
    failed: int
    jobs_done: int
    jobs_dead: int
    in_flight: int
    queued: int
    workers: int
    version: int | None
    malformed: int = 0
    reason: str = ""

    def line(self) -> str:
        """One line for people."""
        share = 100 * self.rows_done / max(self.rows, 1)
        done = f"{self.rows_done:,}/{self.rows:,} rows ({share:.0f}%)" if self.rows else "no text to encode"
        text = f"{self.run}  {self.state}  {done}"
        if self.twins:
            text += f"  {self.twins:,} rows get a vector of the same text"
        text += f"  {self.jobs_done} jobs done, {self.in_flight} in flight, {self.jobs_dead} dead"
        if self.source == "ledger":
            text += f"  {self.queued} queued, {self.workers} workers"
        if self.failed:
            text += f"  {self.failed:,} failed rows"
        if self.malformed:
            text += f"  {self.malformed:,} malformed queue elements were put aside"
        if self.version is not None:
            text += f"  version {self.version}"
        return f"{text}  {self.table}" + (f"\n  {self.reason}" if self.reason else "")


def of_broker(broker: Broker, run: str) -> RunStatus | None:
    """The run as its ledger sees it, or None where Redis does not know it; a sample is no run of its own."""
    ledger = broker.ledger(run)
    progress, record = ledger.progress(), ledger.record()
    if progress is None or record is None or record.sample_of is not None:
        return None
    return RunStatus(
        run=run,
        table=record.table,
        state=progress.state,
        source="ledger",
        rows=record.rows_to_embed,
        twins=0 if record.twins is None else record.twins.rows,
        rows_done=progress.counters["rows"] + progress.counters["failed"],
        failed=progress.counters["failed"],
        jobs_done=progress.done,
        jobs_dead=progress.dead,
        in_flight=progress.leased,
        queued=queued(broker.client),
        workers=len(living_workers(broker.client)),
        malformed=malformed(broker.client),
        version=committed_version(record.table, record.run) if progress.state == "committed" else None,
        reason="; ".join(_reasons(record, ledger, progress)),
    )


def _reasons(record: RunRecord, ledger: Ledger, progress: Progress) -> Iterator[str]:
    if progress.state == "running" and ledger.holder() is None:
        yield f"no process drives it: vecmill resume {record.run}, or let vecmill serve take it"
    elif progress.state == "running" and record.lacks_ranges:
        yield f"the ranges of {record.store} codes are being found from a sample"
    for said, count in Counter(ledger.obstacles().values()).items():
        yield f"{count} worker(s) wait: {said}"
    if progress.reason:
        yield progress.reason
        return
    yield from (f"job {job}: {why}" for job, why in list(ledger.causes().items())[:3])


def of_record(record: RunRecord) -> RunStatus:
    """The run as its table sees it; works when Redis has lost everything."""
    version = committed_version(record.table, record.run)
    parts = receipts(record)
    return RunStatus(
        run=record.run,
        table=record.table,
        state="unchanged" if record.unchanged else "not committed" if version is None else "committed",
        source="table",
        rows=record.rows_to_embed,
        twins=0 if record.twins is None else record.twins.rows,
        # Of a committed run a vacuum may have taken parts away.
        rows_done=record.rows_to_embed
        if version is not None
        else sum(receipt.rows + receipt.failed for receipt in parts.values()),
        failed=sum(receipt.failed for receipt in parts.values()),
        jobs_done=len(parts),
        jobs_dead=0,
        in_flight=0,
        queued=0,
        workers=0,
        version=version,
    )
