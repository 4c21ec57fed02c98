"""A story as the words, tiles and drawings that the page shows. Knows no HTML and no file."""

import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from producer.explain import step_texts
from producer.report import drawings
from producer.report.map import draw, snippet, title
from producer.report.story import Story
from producer.report.timeline import timeline
from schemas.receipt import StageSeconds, Totals

Rows = list[tuple[str, str]]


def page(story: Story) -> dict[str, Any]:
    """Everything that the template needs."""
    record, line = story.record, timeline(story.receipts)
    return {
        "story": story,
        "record": record,
        "model": os.path.basename(record.spec.model) if os.path.isabs(record.spec.model) else record.spec.model,
        "table_name": os.path.basename(record.table),
        "state": _state(story),
        "tiles": list(_tiles(story)),
        "asked": list(_asked(story)),
        "stages": list(_stages(story)),
        "workers": list(_workers(story)),
        "throughput": drawings.throughput(line) if line else None,
        "stage_chart": drawings.stages(line) if line else None,
        "batches": drawings.batches(story.receipts),
        "lengths": drawings.lengths(story.lengths, record.spec.max_tokens) if story.lengths.rows else None,
        "map": draw(story.sample) if story.sample.looked_at else None,
        "checks": [
            {
                "row": (title(check.row), snippet(check.row)),
                "nearest": [(one.score, title(one.row), snippet(one.row)) for one in check.nearest],
            }
            for check in story.checks
        ],
        "chunked": record.chunking is not None,
        "steps": step_texts(record.spec, {}),
        "spec": list(_spec(story)),
        "seconds": _seconds(story),
        "now": _time(datetime.now(UTC).timestamp()),
    }


def _state(story: Story) -> tuple[str, str]:
    """Good, open or unchanged, and how to say it."""
    if story.committed is not None:
        return "good", f"committed as version {story.committed.version}"
    return ("good", "nothing had changed") if story.record.unchanged else ("open", "not committed")


def _seconds(story: Story) -> float:
    first, last = story.totals.first_claim, story.totals.last_durable
    return last - first if first is not None and last is not None else 0.0


def _tiles(story: Story) -> Iterator[tuple[str, str, str]]:
    totals, seconds, changes = story.totals, _seconds(story), story.record.changes
    rate = max(seconds, 1e-9)
    yield f"{totals.rows:,}", "rows embedded", f"of {story.record.rows_to_embed:,} to embed"
    yield f"{totals.tokens:,}", "tokens", f"{totals.tokens / max(totals.rows, 1):,.0f} a row"
    if story.receipts:
        yield f"{totals.tokens / rate:,.0f}", "tokens per second", f"{totals.rows / rate:,.0f} rows per second"
        yield f"{max(totals.padding - 1, 0):.1%}", "padding", f"{totals.batch_tokens:,.0f} tokens a batch"
    yield f"{story.failed.total:,}", "rows failed", "they are listed below" if story.failed.total else "none"
    yield f"{totals.truncated:,}", "texts truncated", f"{totals.truncated / max(totals.rows, 1):.1%} of the rows"
    if changes is not None:
        yield f"{changes.reused:,}", "rows reused", f"{changes.deleted:,} deleted"


def _asked(story: Story) -> Iterator[tuple[str, str]]:
    record = story.record
    source, changes = record.source, record.changes
    yield "Source", ", ".join(source.paths)
    yield "Rows in the source", f"{record.source_rows:,}" + (f" (the first {source.limit:,})" if source.limit else "")
    columns = [("id", source.id_column), ("text", source.text_column), ("kept", ", ".join(source.keep))]
    yield "Columns", "; ".join(f"{what}: {name}" for what, name in columns if name) or "as they are named"
    if source.chunk_tokens is not None:
        cut = f"at most {source.chunk_tokens:,} tokens, {source.chunk_overlap:,} shared by neighbours"
        yield "Chunks", f"{record.rows:,}, of {cut}"
    yield "Mode", record.mode
    if changes is not None:
        counts = {"new": changes.new, "changed": changes.changed, "reused": changes.reused, "deleted": changes.deleted}
        yield "Against the table", ", ".join(f"{count:,} {what}" for what, count in counts.items())
    if story.totals.duplicates:
        yield "Equal texts", f"{story.totals.duplicates:,} came again in their job and shared an encoding"
    yield "Stored as", record.store
    yield "Run", record.run
    yield "Began", _time(record.created_at)
    if story.committed is not None and story.committed.at:
        by = f" by {story.committed.user}" if story.committed.user else ""
        yield "Committed", _time(story.committed.at) + by
    yield "Table", record.table


def _stages(story: Story) -> Iterator[dict[str, Any]]:
    """What each stage took, all jobs together, and how fast it was for itself."""
    seconds = story.totals.seconds.model_dump()
    for name in StageSeconds.model_fields:
        yield {
            "name": name,
            "colour": drawings.STAGE_COLOURS[name],
            "seconds": seconds[name],
            "share": seconds[name] / max(sum(seconds.values()), 1e-9),
            "rate": story.totals.tokens / seconds[name] if seconds[name] else 0.0,
        }


def _workers(story: Story) -> Iterator[dict[str, Any]]:
    found: defaultdict[str, Totals] = defaultdict(Totals)
    for receipt in story.receipts:
        found[receipt.worker] = found[receipt.worker].plus(receipt)
    for name, totals in sorted(found.items()):
        rate = totals.tokens / totals.seconds.encode if totals.seconds.encode else 0.0
        yield {"name": name, "totals": totals, "rate": rate}


def _spec(story: Story) -> Iterator[tuple[str, str]]:
    spec = story.record.spec
    yield "Model", spec.model + (f" at {spec.revision}" if spec.revision else "")
    if spec.base:
        yield "Adapter of", spec.base
    yield "Prompt", spec.prompt or "none"
    yield "Numbers", f"{', '.join(story.totals.dtypes) or spec.dtype}, {spec.dims} a vector"
    yield "Fingerprint", spec.fingerprint
    for warning in spec.warnings:
        yield "Warning", warning


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
