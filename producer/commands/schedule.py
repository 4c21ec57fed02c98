"""`vecmill schedule`: add, list, remove and run what is embedded by the clock."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import click

from producer.broker import Broker
from producer.commands.options import broker_option
from producer.commands.scheduled import scheduled
from producer.request import Where
from producer.schedule import Overlap, Schedule, ScheduleStore, listed, next_tick, outcome, run_id
from producer.schedule.cron import Cron
from producer.schedule.record import NAME_PATTERN
from schemas.errors import UsageError


@click.group()
def schedule() -> None:
    r"""Embed by the clock: what `vecmill serve` begins at its time, and carries out.

    \b
    vecmill schedule add nightly --cron "0 3 * * *" --timezone Europe/Berlin -- embed corpus/ --model ./m --to out/
    vecmill schedule list
    """


class _Add(click.Command):
    """`add`, which is often typed without the `--` before what it shall embed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args and "embed" in args[1:]:
            raise click.UsageError("what is to be embedded stands behind two dashes: ... -- embed SOURCE ...", ctx)
        return super().parse_args(ctx, args)


@schedule.command(cls=_Add)
@click.argument("name")
@click.option("--cron", required=True, metavar="FIELDS", help="Minute, hour, day of month, month, day of week.")
@click.option("--timezone", default="UTC", show_default=True, metavar="TZ", help="A name like Europe/Berlin.")
@click.option("--overlap", type=click.Choice(get_args(Overlap)), default="skip", show_default=True,
              help="A tick while the run before lasts: passed over, or fired when that has ended.")  # fmt: skip
@broker_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def add(name: str, command: tuple[str, ...], broker: str | None, **options: Any) -> int:
    r"""Keep a schedule: at each tick of --cron, `vecmill serve` begins the run that `-- embed ARGS...` describes.

    \b
    vecmill schedule add nightly --cron "0 3 * * *" -- embed corpus/ --model BAAI/bge-m3 --to out/ --mode sync
    """
    if re.match(NAME_PATTERN, name) is None:
        raise UsageError(f"{name!r} as a name: letters, digits, '.', '_' and '-' only, at most 40")
    wanted = Schedule(name=name, request=scheduled(command), **options)
    # Before a broker is asked: these two are typed wrongly most often.
    Cron(wanted.cron, wanted.timezone)
    with _opened(broker) as opened:
        store = ScheduleStore(opened.client)
        now = store.now()
        soon = next_tick(wanted, now)
        is_new = store.add(wanted, now=now)
    click.echo(f"{name} {'is kept' if is_new else 'was there already'}; next {soon}", err=True)
    return 0


@schedule.command("list")
@broker_option
@click.option("--json", "as_json", is_flag=True)
def list_(broker: str | None, as_json: bool) -> int:
    r"""List the schedules: when they fire next, and what came of the last time.

    \b
    vecmill schedule list --broker redis://...
    """
    with _opened(broker) as opened:
        found = listed(opened, now=ScheduleStore(opened.client).now())
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found]))
    else:
        click.echo("\n".join(one.line() for one in found) or "no schedules")
    return 0


@schedule.command()
@click.argument("name")
@broker_option
def remove(name: str, broker: str | None) -> int:
    r"""Forget the schedule NAME. A run that it began goes on.

    \b
    vecmill schedule remove nightly
    """
    with _opened(broker) as opened:
        if not ScheduleStore(opened.client).remove(name):
            raise _unknown(name)
    click.echo(f"{name} is removed", err=True)
    return 0


@schedule.command()
@click.argument("name")
@broker_option
def run(name: str, broker: str | None) -> int:
    r"""Have the schedule NAME fired now, beside its ticks; prints the run that `vecmill serve` will begin.

    \b
    vecmill schedule run nightly
    """
    with _opened(broker) as opened:
        store = ScheduleStore(opened.client)
        kept, standing = store.get(name), store.standing(name)
        if kept is None or standing is None:
            raise _unknown(name)
        if kept.overlap == "skip" and (standing.firing or outcome(opened, kept, standing).lasts):
            raise UsageError(
                f"a run of {name} still lasts: {run_id(name, standing.firing) if standing.firing else standing.run}",
                way_out="wait for it, or vecmill cancel RUN; a schedule with --overlap queue would wait by itself",
            )
        asked = int(store.now())
        store.change(name, lambda present: present.model_copy(update={"asked": asked}))
    click.echo(run_id(name, asked))
    click.echo("asked for; `vecmill serve` begins it", err=True)
    return 0


@contextmanager
def _opened(url: str | None) -> Iterator[Broker]:
    found = Where(broker=url).broker_url
    if found is None:
        raise UsageError("schedules are kept in a broker", way_out="--broker redis://... or VECMILL_BROKER_URL")
    broker = Broker(found)
    try:
        yield broker
    finally:
        broker.close()


def _unknown(name: str) -> UsageError:
    return UsageError(f"there is no schedule {name!r}", way_out="vecmill schedule list")
