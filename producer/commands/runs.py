"""`vecmill runs`, `pause`, `resume`, `cancel`, `retry`."""

import time
from datetime import UTC, datetime
from typing import Any

import click

from producer import records
from producer.broker import Broker
from producer.calibrate import sample_run
from producer.carry_out import carry_out
from producer.commands.options import broker_option, stderr_display, where_from, where_options
from producer.commands.outcome import finish
from producer.ledger import Ledger, known_runs
from producer.request import Where
from producer.table import committed_versions
from schemas.errors import UsageError
from schemas.nearest import meant
from schemas.run import RunRecord, RunState


@click.command()
@click.argument("table")
def runs(table: str) -> int:
    r"""List the runs recorded in TABLE, newest first.

    \b
    vecmill runs out/
    """
    listed = list(records.of_table(table))
    if not listed:
        raise UsageError(f"no run is recorded in {table}", way_out="check the path")
    versions = committed_versions(table, [record.run for record in listed])
    for record in listed:
        version = versions.get(record.run)
        state = "unchanged" if record.unchanged else "not committed" if version is None else f"version {version}"
        when = datetime.fromtimestamp(record.created_at, UTC)
        click.echo(f"{record.run}  {when:%Y-%m-%d %H:%M}  {record.rows:,} rows  {record.spec.model}  {state}")
    return 0


@click.command()
@click.argument("run")
@where_options
@click.option("--json", "as_json", is_flag=True)
def resume(run: str, as_json: bool, **options: Any) -> int:
    r"""Go on with RUN (a run id or its table): after an interruption, a crash, a pause, or a loss of Redis.

    \b
    vecmill resume out/
    """
    return _carry_on(_find(run, where_from(options)), where_from(options), as_json=as_json)


@click.command()
@click.argument("run")
@where_options
@click.option("--json", "as_json", is_flag=True)
def retry(run: str, as_json: bool, **options: Any) -> int:
    r"""Try the failed jobs of RUN (a run id or its table) again, and go on.

    \b
    vecmill retry 20261124-0300-a1b2c3 --broker redis://...
    """
    where = where_from(options)
    record = _find(run, where)
    if where.broker_url is not None:
        broker = Broker(where.broker_url)
        for ledger in _ledgers(broker, record.run):
            ledger.forgive()
        broker.close()
    return _carry_on(record, where, as_json=as_json)


@click.command()
@click.argument("run")
@broker_option
def pause(run: str, broker: str | None) -> int:
    r"""Let workers finish what they have of RUN and take no more.

    \b
    vecmill pause 20261124-0300-a1b2c3 --broker redis://...
    """
    return _set_state(run, broker, "paused")


@click.command()
@click.argument("run")
@broker_option
def cancel(run: str, broker: str | None) -> int:
    r"""End RUN without a commit; its parts stay, and it can still be resumed.

    \b
    vecmill cancel 20261124-0300-a1b2c3 --broker redis://...
    """
    return _set_state(run, broker, "cancelled")


def _carry_on(record: RunRecord, where: Where, *, as_json: bool) -> int:
    if _continue_elsewhere(record, where):
        click.echo(f"run {record.run} goes on in the process that drives it", err=True)
        return 0
    display = stderr_display()
    return finish(
        lambda: carry_out(record, where, display),
        display=display, run=record.run, started=time.monotonic(), as_json=as_json,
    )  # fmt: skip


def _continue_elsewhere(record: RunRecord, where: Where) -> bool:
    """A paused run whose producer still lives needs no second one."""
    if where.broker_url is None:
        return False
    broker = Broker(where.broker_url)
    try:
        ledger = broker.ledger(record.run)
        progress = ledger.progress()
        if progress is None or progress.state != "paused" or ledger.holder() is None:
            return False
        for one in _ledgers(broker, record.run):
            one.set_state("running")
        return True
    finally:
        broker.close()


def _find(run: str, where: Where) -> RunRecord:
    if where.broker_url is not None:
        broker = Broker(where.broker_url)
        record, others = broker.ledger(run).record(), list(known_runs(broker.client))
        broker.close()
        if record is not None and record.sample_of is not None:
            raise UsageError(f"{run} is the sample of a run", way_out=f"name the run: {record.sample_of}")
        if record is not None:
            return record
        return records.find(run, others=others)
    return records.find(run)


def _ledgers(broker: Broker, run: str) -> list[Ledger]:
    """That of the run, and that of its sample while its ranges are looked for: where Redis knows them."""
    both = (broker.ledger(run), broker.ledger(sample_run(run)))
    return [ledger for ledger in both if ledger.progress() is not None]


def _set_state(run: str, broker_url: str | None, state: RunState) -> int:
    url = Where(broker=broker_url).broker_url
    if url is None:
        raise UsageError(
            "which broker? An embedded run is stopped with Ctrl-C", way_out="--broker redis://... or VECMILL_BROKER_URL"
        )
    broker = Broker(url)
    try:
        ledger = broker.ledger(run)
        if ledger.progress() is None:
            known = known_runs(broker.client)
            raise UsageError(
                f"the broker knows no run {run!r}", way_out=meant(run, known, "vecmill status lists the runs it knows")
            )
        for one in _ledgers(broker, run):
            one.set_state(state)
    finally:
        broker.close()
    click.echo(f"run {run} is {state}; to go on: vecmill resume {run}", err=True)
    return 0
