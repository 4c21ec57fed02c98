"""Turns a request into the record of a run: everything that can be refused is refused here, before any work."""

import os
import re
from pathlib import Path

from producer.broker import connect
from producer.cutting import as_recorded, check_cutting
from producer.display import Display
from producer.ledger import Ledger
from producer.model import resolve_model
from producer.prepared import Prepared, planned
from producer.request import EmbedRequest
from producer.source import Corpus, open_source, pinned, pinned_as
from producer.table import check_table, read_record
from schemas.arrow import kept_fields, part_schema
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.run import RunRecord


def recorded(request: EmbedRequest) -> RunRecord | None:
    """The run of this id if it was begun before; raises `UsageError` where it was begun with other arguments."""
    table = normal(request.to)
    record = read_record(table, request.run_id) if request.run_id else None
    if record is None:
        return None
    source = pinned_as(absolute_source(request).source, record.source)
    asked = (source, resolve_model(request.model), request.store, request.mode, request.on_truncate)
    begun = (record.source, record.spec, record.store, record.mode, record.on_truncate)
    for name, now, then in zip(("source", "model", "store", "mode", "on-truncate"), asked, begun, strict=True):
        if now != then:
            raise UsageError(
                f"run {record.run} was begun with another {name}:\n  then: {then}\n  now:  {now}",
                way_out=f"vecmill resume {record.run} goes on as it was begun; leave --run-id out for a new run",
            )
    return record


def begin(request: EmbedRequest, display: Display) -> RunRecord:
    """Check the broker, the source, the model and the table, and write the record of a new run."""
    prepared = prepare(request, display)
    prepared.save()
    return prepared.record


def prepare(request: EmbedRequest, display: Display) -> Prepared:
    """The same, with nothing written."""
    if request.where.broker_url is not None:
        _check_broker(request, request.where.broker_url)
    check_cutting(request.source)
    request = absolute_source(request)
    request = request.model_copy(update={"source": pinned(request.source)})
    spec = resolve_model(request.model)
    for warning in spec.warnings:
        display.say(f"warning: {warning}")
    source = open_source(request.source)
    schema = part_schema(
        kept_fields(source.schema),
        keep_text=request.source.keep_text,
        store=request.store,
        chunked=request.source.chunk_tokens is not None,
    )
    state = check_table(normal(request.to), spec=spec, schema=schema, mode=request.mode, store=request.store)
    return planned(request, spec, source, state, display)


def check_source(record: RunRecord) -> Corpus:
    """What the jobs of a run are cut from; raises `UsageError` where the source is no longer what it was."""
    source = open_source(record.source)
    if source.state != record.source_state:
        raise UsageError(
            f"the source of run {record.run} has changed since the run began (names, sizes or times of its files)",
            way_out="bring the files back as they were, or start a new run",
        )
    return as_recorded(record, source)


def absolute_source(request: EmbedRequest) -> EmbedRequest:
    """The request with source paths that do not depend on where the command was typed."""
    paths = tuple(map(_absolute, request.source.paths))
    return request.model_copy(update={"source": request.source.model_copy(update={"paths": paths})})


def _absolute(path: str) -> str:
    if "://" in path:
        # What is no address is refused later, as it was typed.
        return re.sub(r"(?<=[^:/])/+$", "", path)
    return str(Path(os.path.expanduser(path)).absolute())


def _check_broker(request: EmbedRequest, url: str) -> None:
    client = connect(url)
    if request.run_id is not None:
        Ledger(client, request.run_id).check_free(normal(request.to))
    client.close()
