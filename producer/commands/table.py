"""`vecmill history`, `query`, `verify`."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from producer import side_door
from producer.commands.options import device_option, trust_option
from producer.query import search
from producer.table import Version, open_table
from producer.table import history as versions
from producer.table.log import no_table
from producer.table.state import TableState
from producer.verify import verify as examine


@click.command()
@click.argument("table")
@click.option("--json", "as_json", is_flag=True)
def history(table: str, as_json: bool) -> int:
    r"""List the versions of TABLE: when, by which run, in which mode, what it did, and of which fingerprint.

    \b
    vecmill history out/
    """
    for version in versions(table):
        if as_json:
            click.echo(version.model_dump_json())
            continue
        when = datetime.fromtimestamp(version.at, UTC)
        click.echo(
            f"version {version.version}  {when:%Y-%m-%d %H:%M:%S}  {version.mode or version.operation}  {_did(version)}"
            f"  run {version.run or '-'}  fingerprint {(version.fingerprint or '-')[:12]}  by {version.user or '-'}"
        )
    return 0


@click.command()
@click.argument("table")
@click.argument("text")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many rows to show.")
@click.option("--prompt", help="Text put before TEXT; default the model's own prompt for queries.")
@device_option
@trust_option
@click.option("--json", "as_json", is_flag=True)
def query(table: str, text: str, **options: Any) -> int:
    r"""Show the rows of TABLE nearest to TEXT.

    \b
    vecmill query out/ "how do I sort a list?" -k 5
    """
    spec = _existing(table).spec
    side: dict[str, Any] = {"trust_remote_code": options["trust_remote_code"]}
    side |= {"prompt": options["prompt"]} if options["prompt"] is not None else {"task": "query"}
    vector = side_door.encode(spec, [text], device=options["device"], **side)[0]
    hits = search(table, vector, k=options["k"])
    if options["as_json"]:
        click.echo(json.dumps([hit.model_dump() for hit in hits], ensure_ascii=False, default=str))
    for hit in () if options["as_json"] else hits:
        columns = "  ".join(f"{name}={_short(value)}" for name, value in hit.columns.items() if name not in _QUIET)
        click.echo(f"{hit.score:.3f}  {hit.id}  {columns}")
    return 0


@click.command()
@click.argument("table")
@click.option("--sample", type=click.IntRange(min=0), default=100, show_default=True, help="Rows to embed again.")
@device_option
@trust_option
def verify(table: str, sample: int, **options: Any) -> int:
    r"""Check TABLE: counts, ids, vectors, and a sample embedded again. Exit code 1 on any finding.

    \b
    vecmill verify out/ --sample 1000
    """
    spec = _existing(table).spec
    findings = 0
    for finding in examine(table, sample=sample, encode=lambda texts: side_door.encode(spec, texts, **options)):
        findings += 1
        click.echo(f"{finding.check}  {finding.where}: {finding.detail}")
    click.echo("no findings" if not findings else f"{findings} finding(s)", err=True)
    return 1 if findings else 0


def _did(version: Version) -> str:
    counts = {"embedded": version.rows, "reused": version.reused, "deleted": version.deleted}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count is not None)


def _existing(table: str) -> TableState:
    state = open_table(table)
    if state is None:
        raise no_table(table)
    return state


_QUIET = frozenset({"n_tokens", "truncated"})


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
