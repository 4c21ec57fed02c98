"""Turns a request into the record of a run: everything that can be refused is refused here, before any work."""

import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from producer.broker import connect
from producer.chunk.chunked import Chunked
from producer.cutting import as_recorded, check_cutting, cuts_of
from producer.display import Display
from producer.ledger import Ledger
from producer.model import resolve_model
from producer.plan import made_plan
from producer.prepared import Prepared
from producer.request import EmbedRequest
from producer.source import Corpus, Source, open_source, pinned, pinned_as
from producer.source.refusal import passed_over
from producer.survey import survey
from producer.table import Planned, TableState, check_covered, check_table, read_record
from producer.twins import find_twins
from schemas.arrow import kept_fields, part_schema
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.run import Chunking, RunRecord
from schemas.spec import Spec
from schemas.store import CALIBRATED, Ranges, Store

#: A run is cut into about so many jobs, so that workers share it evenly, within these bounds.
_JOBS_AIM = 64
_FEWEST_ROWS, _MOST_ROWS = 256, 4096


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
    return _planned(request, spec, source, state, display)


def _planned(request: EmbedRequest, spec: Spec, source: Source, state: TableState | None, display: Display) -> Prepared:
    """Count the rows, cut the texts, and look what the table has of them."""
    other = passed_over(request.source.paths)
    display.say(f"reading {len(source.files)} file(s) to count the rows and check the ids")
    if other:
        display.say(f"passed over, since no reader knows them: {other}")
    counted = survey(source)
    if counted.rows == 0 and (state is None or request.mode == "replace"):
        raise UsageError(
            "every row of the source is a tombstone, so there would be no row in the table",
            way_out="--to a table that has rows to delete, and no --mode replace",
        )
    cuts = cuts_of(source, request.source, spec)
    record = RunRecord(
        run=request.run_id or _new_run_id(),
        table=normal(request.to),
        source=request.source,
        spec=spec,
        store=request.store,
        mode=request.mode,
        on_truncate=request.on_truncate,
        rows=counted.rows if cuts is None else cuts.chunks,
        tombstones=counted.tombstones,
        source_state=source.state,
        job_rows=_FEWEST_ROWS,
        chunking=None if cuts is None else Chunking(rows=counted.rows, digest=cuts.digest),
        base_version=None if state is None else state.version,
        ranges=_ranges(state, spec, request.store),
        created_at=time.time(),
    )
    rows = source if cuts is None else Chunked(source, cuts)
    planned = None
    if state is not None and request.mode != "replace":
        record, planned = _compared(record, rows, state, display)
    if record.unchanged:
        return Prepared(record, planned, None, cuts, rows)
    display.say("looking for texts that come again, or have a vector in the table")
    record, twins = find_twins(record, rows, None if planned is None else planned.embed, state)
    record = record.model_copy(update={"job_rows": _job_rows(record.rows_to_embed)})
    return Prepared(record, planned, twins, cuts, rows)


def _compared(
    record: RunRecord, source: Corpus, state: TableState, display: Display
) -> tuple[RunRecord, Planned | None]:
    """The record of a run on a table that has a version, with what it changes."""
    display.say(f"comparing the source with version {state.version} of the table")
    record, planned = made_plan(record, source, state)
    left = 0 if record.changes is None else record.changes.absent - record.changes.buried
    check_covered(record.table, state=state, spec=record.spec, mode=record.mode, absent=left)
    return record, planned if record.step is not None and not record.unchanged else None


def _job_rows(rows: int) -> int:
    return min(max(-(-rows // _JOBS_AIM), _FEWEST_ROWS), _MOST_ROWS)


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
    # An address is refused later, as it was typed.
    paths = tuple(
        path if "://" in path else str(Path(os.path.expanduser(path)).absolute()) for path in request.source.paths
    )
    return request.model_copy(update={"source": request.source.model_copy(update={"paths": paths})})


def _check_broker(request: EmbedRequest, url: str) -> None:
    client = connect(url)
    if request.run_id is not None:
        Ledger(client, request.run_id).check_free(normal(request.to))
    client.close()


def _ranges(state: TableState | None, spec: Spec, store: Store) -> Ranges | None:
    """Those of the table, so that the codes of its versions can be compared; None where the run is to find some."""
    if state is None or store not in CALIBRATED or state.store not in CALIBRATED:
        return None
    return state.ranges if state.fingerprint == spec.fingerprint else None


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
