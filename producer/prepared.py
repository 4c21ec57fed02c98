"""A run that could begin: its record, and what goes beside it. Nothing is written before it is told to."""

import os
import secrets
import time
from datetime import UTC, datetime
from typing import NamedTuple

from producer import records
from producer.bits import Bits
from producer.chunk.chunked import Chunked
from producer.chunk.cuts import Cuts
from producer.cutting import cuts_of
from producer.display import Display
from producer.plan import made_plan
from producer.request import EmbedRequest
from producer.source import Corpus, Source
from producer.source.refusal import passed_over
from producer.survey import Survey, survey
from producer.table import Planned, TableState, check_covered, save_plan
from producer.twins import find_twins, save_twins
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.run import Chunking, RunRecord
from schemas.spec import Spec
from schemas.store import CALIBRATED, Ranges, Store

#: A run is cut into about so many jobs, so that workers share it evenly, within these bounds.
_JOBS_AIM = 64
_FEWEST_ROWS, _MOST_ROWS = 256, 4096


class Prepared(NamedTuple):
    """A run as it would be: its record, which rows would get vectors or go, the twins, and where texts are cut.

    None where all rows would get vectors and none go, where there are no twins, and where texts stay whole. `rows` is
    what all numbers of rows are about.
    """

    record: RunRecord
    planned: Planned | None
    twins: Bits | None
    cuts: Cuts | None
    rows: Corpus

    @property
    def encoded(self) -> Bits:
        """The rows that would go through the model."""
        if self.record.unchanged:
            return Bits(self.record.rows)
        wanted = Bits.all(self.record.rows) if self.planned is None else self.planned.embed
        return wanted if self.twins is None else wanted.without(self.twins)

    def save(self) -> None:
        """Write it beside the table; the record last, so that where it is, all is."""
        if self.cuts is not None:
            self.cuts.save(os.path.join(self.record.table, self.record.cuts_path))
        if self.planned is not None:
            save_plan(self.record, self.planned)
        if self.twins is not None:
            save_twins(self.record, self.twins)
        records.save(self.record)


def planned(request: EmbedRequest, spec: Spec, source: Source, state: TableState | None, display: Display) -> Prepared:
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
    record = _whole(request, spec, source, state, counted, cuts)
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


def _whole(
    request: EmbedRequest, spec: Spec, source: Source, state: TableState | None, counted: Survey, cuts: Cuts | None
) -> RunRecord:
    """The record of a run that embeds the whole source."""
    return RunRecord(
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


def _ranges(state: TableState | None, spec: Spec, store: Store) -> Ranges | None:
    """Those of the table, so that the codes of its versions can be compared; None where the run is to find some."""
    if state is None or store not in CALIBRATED or state.store not in CALIBRATED:
        return None
    return state.ranges if state.fingerprint == spec.fingerprint else None


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
