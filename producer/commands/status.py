"""`vecmill status`."""

import json
from collections.abc import Sequence
from contextlib import suppress

import click
from rich.console import Console

from producer import records
from producer.broker import Broker, connect, without_password
from producer.commands.options import broker_option
from producer.ledger import known_runs
from producer.request import Where
from producer.status import RunStatus, of_broker, of_record
from producer.watch import watch_lines, watch_live
from schemas.errors import UsageError
from schemas.ledger import RUNS_KEY


@click.command()
@click.argument("run", required=False)
@broker_option
@click.option("--json", "as_json", is_flag=True)
@click.option("--watch", is_flag=True, help="Go on: with a run until it ends, with all of a broker until Ctrl-C.")
def status(run: str | None, broker: str | None, as_json: bool, watch: bool) -> int:
    r"""How far a RUN is (a run id or its table), or all runs of the broker.

    \b
    vecmill status 20261124-0300-a1b2c3 --broker redis://...
    vecmill status out/
    vecmill status --watch --broker redis://...
    """

    def write(found: Sequence[RunStatus]) -> None:
        if as_json:
            click.echo(json.dumps([one.model_dump() for one in found] if run is None else found[0].model_dump()))
        else:
            click.echo("\n".join(one.line() for one in found) or "no runs")

    if not watch:
        write(_statuses(run, broker))
        return 0
    # Ctrl-C is how one stops looking, and stops nothing else.
    with suppress(KeyboardInterrupt):
        if as_json or not _watched_live(run, Where(broker=broker).broker_url):
            watch_lines(lambda: _statuses(run, broker), write, forever=run is None)
    return 0


def _watched_live(run: str | None, url: str | None) -> bool:
    """Watch a broker on a terminal; False where there is none of the two, or the broker does not know the run."""
    console = Console()
    if url is None or not console.is_terminal:
        return False
    client = connect(url)
    if run is not None and client.zscore(RUNS_KEY, run) is None:
        return False
    watch_live(client, console, where=without_password(url), run=run)
    return True


def _statuses(run: str | None, broker_url: str | None) -> list[RunStatus]:
    url = Where(broker=broker_url).broker_url
    if url is None:
        if run is None:
            raise UsageError("which runs? Name a run, a table, or a broker", way_out="vecmill status TABLE")
        return [of_record(records.find(run))]
    broker = Broker(url)
    try:
        if run is None:
            return [one for name in known_runs(broker.client) if (one := of_broker(broker, name)) is not None]
        return [of_broker(broker, run) or of_record(records.find(run, others=known_runs(broker.client)))]
    finally:
        broker.close()
