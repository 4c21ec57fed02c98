"""A forecast in lines for a person."""

from collections.abc import Iterator

from rich.filesize import decimal

from producer.forecast.foresee import Forecast


def lines(found: Forecast) -> Iterator[str]:
    """For a person."""
    rows = f"{found.rows:,} rows" + (f", cut them into {found.chunks:,} chunks" if found.cut else "")
    yield f"nothing was done. embed would read {rows} and embed {found.embedded:,} of them"
    if found.twins:
        yield f"    {found.twins:,} of these come again, or have a vector under another id: they are not encoded"
    yield from _about_table(found)
    if found.spec_changes:
        yield "vectors would be made otherwise than those of the table:"
        yield from (f"    {line}" for line in found.spec_changes)
    if found.embedded:
        kind = f"{found.store}, {found.dims} dimensions"
        jobs = "1 job" if found.jobs == 1 else f"{found.jobs:,} jobs"
        yield f"about {decimal(found.output_bytes)} of vectors ({kind}), {jobs}"
    if found.rewritten_bytes:
        yield f"up to {decimal(found.rewritten_bytes)} is copied, of files that lose rows"
    if found.estimate is not None:
        yield from found.estimate.lines()
    if found.kept and found.reused:
        yield f"kept columns are not compared: {', '.join(found.kept)} of reused rows would stay as they are"
    yield f"what happens to a text ({found.model}, fingerprint {found.fingerprint[:12]}, computed in {found.dtype}):"
    yield from found.what_happens


def _about_table(found: Forecast) -> Iterator[str]:
    if found.version is None:
        yield f"{found.table} would get its first version"
        return
    if not found.commits:
        yield f"nothing has changed since version {found.version} of {found.table}: there would be no new version"
    else:
        yield f"{found.table}, now at version {found.version}, would get a new one:"
    if found.mode == "replace":
        yield "    all of it would be made anew, whatever it holds (--mode replace)"
        return
    anew = "; all of them are embedded, since vectors are made otherwise" if found.anew else ""
    yield f"    {found.new:,} rows are new, {found.changed:,} changed, {found.reused:,} stay as they are{anew}"
    if found.deleted:
        yield f"    {found.deleted:,} rows of the table would be deleted"
    if found.tombstones:
        yield f"    {found.tombstones:,} rows of the source are tombstones, for {found.buried:,} rows of the table"
    if found.mode == "upsert" and found.absent > found.buried:
        left = found.absent - found.buried
        yield f"    {left:,} rows of the table are not in the source: they would stay (--mode sync deletes them)"
