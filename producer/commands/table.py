"""`vecmill history`, `query`, `verify`."""

import json
import sys
from datetime import UTC, datetime

import click

from producer import side_door
from producer.commands.options import device_option
from producer.query import query as search
from producer.table import history as versions
from producer.table import open_table
from producer.verify import verify as examine
from schemas.errors import TableError


@click.command()
@click.argument("table")
@click.option("--json", "as_json", is_flag=True)
def history(table: str, as_json: bool) -> int:
    """List the versions of TABLE: when, by which run, how many rows, of which fingerprint."""
    for version in versions(table):
        if as_json:
            click.echo(version.model_dump_json())
            continue
        when = datetime.fromtimestamp(version.at, UTC)
        rows = "" if version.rows is None else f"{version.rows:,} rows"
        click.echo(
            f"version {version.version}  {when:%Y-%m-%d %H:%M:%S}  {version.operation}  {rows}"
            f"  run {version.run or '-'}  fingerprint {(version.fingerprint or '-')[:12]}"
        )
    return 0
