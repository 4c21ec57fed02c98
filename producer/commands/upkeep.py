"""`vecmill restore`, `compact`, `vacuum`."""

import click

from producer.table.compact import compact as compacted
from producer.table.upkeep import KEEP_DAYS
from producer.table.upkeep import restore as restored
from producer.table.upkeep import vacuum as vacuumed


@click.command()
@click.argument("table")
@click.argument("version", type=click.IntRange(min=0))
def restore(table: str, version: int) -> int:
    r"""Give TABLE the rows of an older VERSION, as a new version; nothing is deleted.

    \b
    vecmill restore out/ 3
    """
    click.echo(f"version {restored(table, version)} of {table} has the rows of version {version}")
    return 0


@click.command()
@click.argument("table")
def compact(table: str) -> int:
    r"""Merge the small files of TABLE into files of up to 256 MB; rows and their order stay.

    \b
    vecmill compact out/
    """
    done = compacted(table)
    if done.before == done.after:
        click.echo(f"nothing to merge: version {done.version} of {table} has {done.after:,} file(s)")
    else:
        click.echo(f"{done.before:,} files became {done.after:,} in version {done.version} of {table}")
    return 0


@click.command()
@click.argument("table")
@click.option("--keep-days", type=click.IntRange(min=0), default=KEEP_DAYS, show_default=True,
              help="Versions that were the latest in so many days stay readable.")  # fmt: skip
def vacuum(table: str, keep_days: int) -> int:
    r"""Delete the files of TABLE that only versions older than that need; these can no longer be read or restored.

    \b
    vecmill vacuum out/ --keep-days 30
    """
    done = vacuumed(table, keep_days=keep_days)
    click.echo(f"{done.files:,} file(s) deleted from {table}")
    for record in done.spared:
        click.echo(f"run {record.run} may still be committed: version {record.base_version} stays for it", err=True)
    return 0
