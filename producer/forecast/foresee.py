"""What a run would do, from its record alone: `embed --dry-run`. Begins nothing and writes nothing."""

from producer.explain import steps
from producer.forecast.cost import Estimate
from producer.table import open_table, spec_changes
from producer.table.log import live_files, open_log
from schemas.record import Record
from schemas.run import Mode, RunRecord
from schemas.store import Store

#: Bytes on the disk per number of a vector, about; what is beside the vectors is small.
_BYTES: dict[Store, float] = {
    "float32": 4.0, "bfloat16": 1.8, "float16": 1.8, "int8": 1.0, "uint8": 1.0, "binary": 0.125, "ubinary": 0.125
}  # fmt: skip


class Forecast(Record):
    """What would happen to a table; counts but `rows` are of chunks (a row each, unless they are cut), sizes in bytes.

    `embedded` rows are `new` or `changed`, or all of them where the table is made `anew`, and `twins` are those of them
    that share the text of another, so that they are not encoded; `absent` ones are in the
    table and not in the source, `buried` those of them that have one of the `tombstones` there. `version` is the
    present one, None for a new table; `commits` says whether there would be a next one. `spec_changes` say why vectors
    are made otherwise than those of the table. `output_bytes` is about the size of the new vectors, `rewritten_bytes`
    the most that is copied of files that lose rows; `estimate` is what encoding would take.
    """

    table: str
    version: int | None
    mode: Mode
    commits: bool
    anew: bool
    rows: int
    chunks: int
    embedded: int
    twins: int
    new: int
    changed: int
    reused: int
    tombstones: int
    absent: int
    buried: int
    deleted: int
    cut: bool
    jobs: int
    output_bytes: int
    rewritten_bytes: int
    model: str
    fingerprint: str
    spec_changes: tuple[str, ...]
    what_happens: tuple[str, ...]
    prompt: str
    pooling: tuple[str, ...]
    normalized: bool
    dims: int
    max_tokens: int | None
    dtype: str
    store: Store
    kept: tuple[str, ...]
    estimate: Estimate | None = None


def forecast(record: RunRecord) -> Forecast:
    """What carrying out this record would do."""
    state = None if record.base_version is None else open_table(record.table, record.base_version)
    changes, spec = record.changes, record.spec
    twins = 0 if record.twins is None else record.twins.rows
    encoded = 0 if record.unchanged else record.rows_to_embed
    embedded = encoded + twins
    return Forecast(
        table=record.table,
        version=record.base_version,
        mode=record.mode,
        commits=not record.unchanged,
        anew=record.step is None,
        rows=record.source_rows,
        chunks=record.rows,
        cut=record.chunking is not None,
        embedded=embedded,
        twins=twins,
        new=record.rows if changes is None else changes.new,
        changed=0 if changes is None else changes.changed,
        reused=0 if changes is None else changes.reused,
        tombstones=record.tombstones,
        absent=0 if changes is None else changes.absent,
        buried=0 if changes is None else changes.buried,
        deleted=0 if changes is None else changes.deleted,
        jobs=-(-encoded // record.job_rows),
        output_bytes=round(embedded * spec.dims * _BYTES[record.store]),
        rewritten_bytes=_rewritten(record),
        model=spec.model,
        fingerprint=spec.fingerprint,
        spec_changes=() if state is None else tuple(spec_changes(state.spec, spec)),
        what_happens=tuple(steps(spec, {})),
        prompt=spec.prompt,
        pooling=tuple(mode for module in spec.modules for mode in module.config.get("modes", ())),
        normalized=spec.unit_vectors,
        dims=spec.dims,
        max_tokens=spec.max_tokens,
        dtype=spec.dtype,
        store=record.store,
        kept=record.source.keep,
    )


def _rewritten(record: RunRecord) -> int:
    """The size of the version, where rows of it go and others stay."""
    changes = record.step
    if changes is None or not changes.changed + changes.deleted:
        return 0
    return sum(file.size_bytes for file in live_files(open_log(record.table, record.base_version), record.table))
