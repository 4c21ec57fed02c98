"""One run: source x model x options -> one committed version of a table."""

from typing import Literal

from pydantic import Field

from schemas.job import MOST_JOB_ROWS, RunId
from schemas.receipt import FORMAT_VERSION
from schemas.record import Record
from schemas.spec import Spec
from schemas.store import CALIBRATED, Ranges, Store

Mode = Literal["upsert", "sync", "replace"]
SourceFormat = Literal["auto", "parquet", "jsonl", "csv", "txt", "arrow"]
#: What becomes of a text that is longer than the model reads: cut and counted, or a failed row.
OnTruncate = Literal["keep", "fail"]
RunState = Literal["running", "paused", "cancelled", "failed", "committed"]


class SourceOptions(Record):
    """Which rows to read, and which of their columns. Paths are files, folders, globs or Delta tables.

    With `chunk_tokens` a text is cut into chunks of at most so many tokens, all counted that the model reads;
    neighbours share up to `chunk_overlap`. Rows whose `deleted_column` is true are tombstones: they say that a row is
    to go, and are no rows to embed.
    """

    paths: tuple[str, ...] = Field(min_length=1)
    format: SourceFormat = "auto"
    id_column: str | None = None
    text_column: str | None = None
    deleted_column: str | None = None
    keep: tuple[str, ...] = ()
    keep_text: bool = False
    limit: int | None = Field(default=None, gt=0)
    chunk_tokens: int | None = Field(default=None, gt=0)
    chunk_overlap: int = Field(default=0, ge=0)


class Chunking(Record):
    """What cutting the texts of a source into chunks came to: its `rows`, and a hash over all cuts."""

    rows: int = Field(ge=0)
    digest: str


class Changes(Record):
    """What a run does to the version that it begins from, found by comparing the source with it before the first job.

    Rows of the source are `new`, `changed` (their text is another one, or cannot be read) or `reused`; `absent` are
    rows of the table that are not in the source, `buried` those of them for which it has a tombstone, `deleted` those
    that the run takes away. With `anew` all rows are embedded again and the version is replaced. `end` is the place
    after the last row that is embedded, `base_rows` how many rows the version has, `digest` a hash over which rows are
    embedded and deleted.
    """

    new: int = Field(ge=0)
    changed: int = Field(ge=0)
    reused: int = Field(ge=0)
    absent: int = Field(ge=0)
    buried: int = Field(default=0, ge=0)
    deleted: int = Field(ge=0)
    anew: bool = False
    end: int = Field(ge=0)
    base_rows: int = Field(ge=0)
    digest: str = ""

    @property
    def embed(self) -> int:
        """How many rows of the source go through the model."""
        return self.new + self.changed

    @property
    def nothing(self) -> bool:
        """Whether the version is already what the run would make of it."""
        return not self.anew and self.embed == self.deleted == 0


class Twins(Record):
    """Rows that are not encoded, since their text is: for an earlier row of the run, or for a row of its base version.

    They get a copy of that vector at the end. `end` is the place after the last row that is encoded, `digest` a hash
    over which rows are twins.
    """

    rows: int = Field(gt=0)
    end: int = Field(ge=0)
    digest: str


class RunRecord(Record):
    """What was asked, and all that a worker or a later producer needs to go on with it.

    It lies in `TABLE/_runs/<run>.json` and, while the run lasts, in Redis. `rows` is what the survey counted in the
    source (chunks, where there is a `chunking`) beside its `tombstones`; `source_state` is a hash over its files'
    names, sizes and times, so that a source that changed under a run is noticed; `job_rows` is the most rows a job
    holds, so that every cut of the same source gives the same jobs; `base_version` is the table's version when the run
    began. `ranges` are those of the table, for stores that need them: taken from the table, else found before the first
    job and never changed after that. `sample_of` names the run that a sample is embedded for. `changes` say what is
    done to that version; None where there is none, or where it is to be replaced whatever it holds.
    """

    format_version: int = FORMAT_VERSION
    run: RunId
    table: str
    source: SourceOptions
    spec: Spec
    store: Store = "float32"
    mode: Mode = "upsert"
    on_truncate: OnTruncate = "keep"
    rows: int = Field(ge=0)
    tombstones: int = Field(default=0, ge=0)
    source_state: str
    job_rows: int = Field(gt=0, le=MOST_JOB_ROWS)
    base_version: int | None = None
    ranges: Ranges | None = None
    sample_of: RunId | None = None
    changes: Changes | None = None
    chunking: Chunking | None = None
    twins: Twins | None = None
    created_at: float

    @property
    def path(self) -> str:
        """Where this record lies, relative to the table."""
        return f"_runs/{self.run}.json"

    @property
    def plan_path(self) -> str:
        """Where it is kept which rows are embedded and deleted, relative to the table."""
        return f"_runs/{self.run}.plan"

    @property
    def cuts_path(self) -> str:
        """Where it is kept how texts are cut into chunks, relative to the table."""
        return f"_runs/{self.run}.cuts"

    @property
    def twins_path(self) -> str:
        """Where it is kept which rows are twins, relative to the table."""
        return f"_runs/{self.run}.twins"

    @property
    def source_rows(self) -> int:
        """How many rows the source has, tombstones counted."""
        return (self.rows if self.chunking is None else self.chunking.rows) + self.tombstones

    @property
    def step(self) -> Changes | None:
        """The changes of a run that builds on a version; None where it makes the whole of the next one."""
        return None if self.changes is None or self.changes.anew else self.changes

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to do, and so no version to commit."""
        return self.changes is not None and self.changes.nothing

    @property
    def rows_to_embed(self) -> int:
        """How many rows its jobs have: all that need a vector, without twins."""
        wanted = self.rows if self.step is None else self.step.embed
        return wanted - (0 if self.twins is None else self.twins.rows)

    @property
    def end(self) -> int:
        """How far into the source its jobs go, in rows."""
        if self.twins is not None:
            return self.twins.end
        return self.rows if self.step is None else self.step.end

    @property
    def lacks_ranges(self) -> bool:
        """Whether its vectors cannot be stored yet."""
        return self.store in CALIBRATED and self.ranges is None
