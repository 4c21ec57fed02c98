"""Carries a recorded run to its commit, wherever it stands: new, half done, all done, or committed already."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from producer.alone import alone
from producer.broker import OUTAGE, Broker
from producer.calibrate import calibrated
from producer.display import Display
from producer.driver import Driver
from producer.embedded.cluster import LocalCluster
from producer.embedded.machine import crew_here
from producer.embedded.remarks import remarks
from producer.model import weight_bytes
from producer.place import Place
from producer.plan import to_embed
from producer.publish import publish, told
from producer.request import Where
from producer.result import Result
from producer.start import check_source
from producer.table import TableState, check_base, commit, committed_version, count_twins, list_parts, open_table, sweep
from producer.twins import copy_vectors, twins_of
from schemas.errors import TableError
from schemas.receipt import Receipt, Totals
from schemas.run import RunRecord


def carry_out(record: RunRecord, where: Where, display: Display) -> Result:
    """Do what is left of a run, and commit it once; repeating this changes nothing."""
    began = time.monotonic()
    if record.unchanged:
        display.say(f"nothing has changed since version {record.base_version}; nothing was done")
        _close_ledger(record, where)
    elif committed_version(record.table, record.run) is None:
        _do(record, where, display)
    else:
        display.say(f"run {record.run} is committed already; nothing was done")
        _close_ledger(record, where)
    return told(record, lambda: result(record, seconds=time.monotonic() - began), display)


def _do(record: RunRecord, where: Where, display: Display) -> None:
    check_base(record)
    source = check_source(record)
    twins = twins_of(record, source)
    rows = to_embed(record, source, twins)

    def attempt() -> int:
        if record.twins is not None:
            display.say(f"copying the vectors of {record.twins.rows:,} rows whose text has one")
        return commit(record, list_parts(record.table, record.run), copy_vectors(record, source, twins))

    if record.rows_to_embed == 0:
        # Only deletions, and texts that have vectors: no queue and no worker is needed for them.
        publish(record, attempt, display)
        _close_ledger(record, where)
        return
    with open_broker(record, where, display) as broker, Place(broker.ledger(record.run), display) as place:
        record = calibrated(record, source, broker, display=display, place=place)
        parts = partial(receipts, record)
        Driver(record, rows, broker=broker, display=display, place=place, parts=parts).run()
        publish(record, attempt, display)
        # The table says so already; a disk or a Redis that is of no use at this moment makes no failure of it.
        with suppress(OSError):
            sweep(record.table, record.run)
        with suppress(*OUTAGE):
            broker.ledger(record.run).set_state("committed")


def _close_ledger(record: RunRecord, where: Where) -> None:
    """A producer that died between the commit and this word left a ledger that says the run still lasts."""
    if where.broker_url is None:
        return
    broker = Broker(where.broker_url)
    ledger = broker.ledger(record.run)
    progress = ledger.progress()
    if progress is not None and progress.state != "committed" and ledger.record() == record:
        ledger.set_state("committed")
    broker.close()


@contextmanager
def open_broker(record: RunRecord, where: Where, display: Display) -> Iterator[Broker]:
    """The broker that was named, or a private one with workers of its own for the time of the run."""
    url = where.broker_url
    if url is not None:
        broker = Broker(url)
        try:
            yield broker
        finally:
            broker.close()
        return
    weights = weight_bytes(record.spec)
    crew = crew_here(device=where.device, wanted=where.workers, weight_bytes=weights)
    dtype = record.spec.dtype
    for remark in remarks(crew, device=where.device, wanted=where.workers, weight_bytes=weights, dtype=dtype):
        display.say(remark)
    with alone(record), LocalCluster(record, crew=crew, device=where.device) as cluster:
        broker = Broker(cluster.url, cluster)
        try:
            yield broker
        finally:
            broker.close()


def receipts(record: RunRecord) -> Mapping[int, Receipt]:
    """The receipts of the run's parts that exist, by job; what was made with another spec is no part of it."""
    found = (part.receipt for part in list_parts(record.table, record.run))
    return {receipt.job: receipt for receipt in found if receipt.fingerprint == record.spec.fingerprint}


def result(record: RunRecord, *, seconds: float) -> Result:
    """What the run came to, from the receipts in its parts; of the table, the version that the run made.

    Another run may have committed since.
    """
    totals = Totals()
    for receipt in receipts(record).values():
        totals = totals.plus(receipt)
    twins = count_twins(record.table, record.run)
    table = _version_of(record)
    encode = (totals.last_durable - totals.first_claim) if totals.first_claim and totals.last_durable else 0.0
    return Result(
        run=record.run,
        table=record.table,
        version=None if table is None else table.version,
        rows=record.source_rows,
        chunks=0 if table is None else table.rows,
        embedded=totals.rows + twins.rows,
        reused=0 if record.changes is None else record.changes.reused,
        deleted=0 if record.changes is None else record.changes.deleted,
        tombstones=record.tombstones,
        duplicates=totals.duplicates + twins.rows,
        failed=totals.failed + twins.failed,
        truncated=totals.truncated + twins.truncated,
        tokens=totals.tokens + twins.tokens,
        padding=totals.padding,
        batches=totals.batches,
        batch_tokens=round(totals.batch_tokens, 1),
        batch_spread=round(totals.batch_spread, 4),
        seconds=round(seconds, 3),
        seconds_encode=round(encode, 3),
        dtype=",".join(totals.dtypes),
        device=",".join(totals.devices),
        dims=record.spec.dims,
        fingerprint=record.spec.fingerprint,
    )


def _version_of(record: RunRecord) -> TableState | None:
    """The version that the run made; the latest, where it made none or the log no longer goes back so far."""
    made = committed_version(record.table, record.run)
    try:
        return open_table(record.table, made)
    except TableError:
        if made is None:
            raise
        return open_table(record.table)
