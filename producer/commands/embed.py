"""`vecmill embed`."""

import re
import time
from typing import Any, get_args

import click

from producer.broker import Broker
from producer.carry_out import carry_out
from producer.commands.options import model_from, model_options, stderr_display, where_from, where_options
from producer.commands.outcome import finish
from producer.display import Display
from producer.forecast import estimate, forecast, lines
from producer.request import EmbedRequest
from producer.start import begin, prepare, recorded
from schemas.errors import UsageError
from schemas.job import RUN_ID_PATTERN
from schemas.run import Mode, OnTruncate, RunRecord, SourceFormat, SourceOptions
from schemas.store import Store


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--model", required=True, metavar="ID_OR_FOLDER", help="A hub id, or a folder that holds the model.")
@click.option("--to", required=True, metavar="TABLE", help="A folder, or s3://bucket/prefix.")
@click.option("--format", "format_", type=click.Choice(get_args(SourceFormat)), default="auto", show_default=True)
@click.option("--id-column", metavar="C", help="Default: `id` where it exists, else file name and row number.")
@click.option(
    "--text-column",
    metavar="C",
    help="Default: `text`. Inside objects: meta.title; of several columns: '{title}\\n\\n{body}'.",
)
@click.option("--deleted-column", metavar="C", help="Rows where C is true go: their ids are deleted from the table.")
@click.option("--keep", default="", metavar="C,C", help="Source columns to keep beside the vectors.")
@click.option("--keep-text", is_flag=True, help="Keep the text itself.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N rows.")
@click.option(
    "--chunk-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cut texts into chunks of at most N tokens, all counted that the model reads.",
)
@click.option("--chunk-overlap", type=click.IntRange(min=0), default=0, metavar="M",
              help="Tokens that neighbouring chunks may share.")  # fmt: skip
@model_options
@click.option("--store", type=click.Choice(get_args(Store)), default="float32", show_default=True,
              help="How vectors are kept; the first three read as float32, the others as codes.")  # fmt: skip
@click.option("--mode", type=click.Choice(get_args(Mode)), default="upsert", show_default=True)
@click.option("--on-truncate", type=click.Choice(get_args(OnTruncate)), default="keep", show_default=True,
              help="A text longer than the model reads: embed its beginning, or make it a failed row.")  # fmt: skip
@where_options
@click.option("--run-id", metavar="ID", help="Name the run; the same id again resumes it.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
@click.option("--detach", is_flag=True, help="Enqueue for `vecmill serve` and return.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object on the last line of stdout.")
def embed(sources: tuple[str, ...], **options: Any) -> int:
    r"""Embed SOURCES (files, folders, globs, Delta tables as TABLE or TABLE@VERSION; also s3://, gs://) into a table.

    \b
    vecmill embed corpus.jsonl --model ./all-MiniLM-L6-v2 --to out/
    vecmill embed dump.jsonl.zst --text-column "{title}\n\n{body}" --model BAAI/bge-m3 --to out/
    vecmill embed "logs/*.parquet" --id-column key --text-column body --keep lang --model BAAI/bge-m3 --to out/
    """
    started = time.monotonic()
    request = request_from(sources, **options)
    if options["detach"] and request.where.broker_url is None:
        raise UsageError("--detach needs a broker that outlives this command", way_out="--broker redis://...")
    display = stderr_display()
    if options["dry_run"]:
        return _dry_run(request, display, as_json=options["as_json"])
    record = recorded(request) or begin(request, display)
    if options["detach"]:
        display.close()
        return _detach(record, str(request.where.broker_url))
    return finish(
        lambda: carry_out(record, request.where, display),
        display=display, run=record.run, started=started, as_json=options["as_json"],
    )  # fmt: skip


def request_from(sources: tuple[str, ...], **options: Any) -> EmbedRequest:
    """What a command line asks."""
    run_id = options["run_id"]
    if run_id is not None and re.match(RUN_ID_PATTERN, run_id) is None:
        fitting = re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+", "-", run_id).strip("-")[:80] or "my-run"
        raise UsageError(
            f"--run-id {run_id!r}: letters, digits, '.', '_' and '-' only, at most 80", way_out=f"--run-id {fitting}"
        )
    source = SourceOptions(
        paths=sources,
        format=options["format_"],
        id_column=options["id_column"],
        text_column=options["text_column"],
        deleted_column=options["deleted_column"],
        keep=tuple(name.strip() for name in options["keep"].split(",") if name.strip()),
        keep_text=options["keep_text"],
        limit=options["limit"],
        chunk_tokens=options["chunk_tokens"],
        chunk_overlap=options["chunk_overlap"],
    )
    return EmbedRequest(
        source=source,
        model=model_from(options, options["model"]),
        to=options["to"],
        store=options["store"],
        mode=options["mode"],
        on_truncate=options["on_truncate"],
        run_id=run_id,
        where=where_from(options),
    )


def _dry_run(request: EmbedRequest, display: Display, *, as_json: bool) -> int:
    if recorded(request) is not None:
        raise UsageError(f"run {request.run_id} was begun already", way_out=f"vecmill status {request.to}")
    prepared = prepare(request, display)
    display.say("counting the tokens of a sample, and timing the model on it")
    found = forecast(prepared.record).model_copy(
        update={"estimate": estimate(prepared.record.spec, prepared.rows, prepared.encoded, request.where)}
    )
    display.close()
    click.echo(found.model_dump_json() if as_json else "\n".join(lines(found)))
    return 0


def _detach(record: RunRecord, url: str) -> int:
    broker = Broker(url)
    ledger = broker.ledger(record.run)
    # Opening counts the done jobs anew, which only the process that drives the run may do.
    if ledger.holder() is None:
        ledger.open(record)
    broker.close()
    click.echo(record.run)
    click.echo(f"enqueued; `vecmill serve` carries it out, `vecmill status {record.run}` shows it", err=True)
    return 0
