"""One run: source x model x options -> one committed version of a table."""

from typing import Literal

from pydantic import Field

from schemas.job import RunId
from schemas.receipt import FORMAT_VERSION
from schemas.record import Record
from schemas.spec import Spec
from schemas.store import CALIBRATED, Ranges, Store

Mode = Literal["upsert", "sync", "replace"]
SourceFormat = Literal["auto", "parquet", "jsonl", "csv", "txt"]
RunState = Literal["running", "paused", "cancelled", "failed", "committed"]


class SourceOptions(Record):
    """Which rows to read, and which of their columns. Paths are files, folders or globs."""

    paths: tuple[str, ...] = Field(min_length=1)
    format: SourceFormat = "auto"
    id_column: str | None = None
    text_column: str | None = None
    keep: tuple[str, ...] = ()
    keep_text: bool = False
    limit: int | None = Field(default=None, gt=0)


class RunRecord(Record):
    """What was asked, and all that a worker or a later producer needs to go on with it.

    It lies in `TABLE/_runs/<run>.json` and, while the run lasts, in Redis. `rows` is what the survey
    counted in the source and `source_state` a hash over its files' names, sizes and times, so that a
    source that changed under a run is noticed; `job_rows` is the most rows a job holds, so that every
    cut of the same source gives the same jobs; `base_version` is the table's version when the run began.
    `ranges` are those of the table, for stores that need them: taken from the table, else found before the
    first job and never changed after that. `sample_of` names the run that a sample is embedded for.
    """

    format_version: int = FORMAT_VERSION
    run: RunId
    table: str
    source: SourceOptions
    spec: Spec
    store: Store = "float32"
    mode: Mode = "upsert"
    rows: int = Field(ge=0)
    source_state: str
    job_rows: int = Field(gt=0)
    base_version: int | None = None
    ranges: Ranges | None = None
    sample_of: RunId | None = None
    created_at: float

    @property
    def path(self) -> str:
        """Where this record lies, relative to the table."""
        return f"_runs/{self.run}.json"

    @property
    def lacks_ranges(self) -> bool:
        """Whether its vectors cannot be stored yet."""
        return self.store in CALIBRATED and self.ranges is None
