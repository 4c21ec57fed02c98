"""What a user asks of `embed`, checked as a whole before anything happens."""

import os

from pydantic import Field

from schemas.job import RunId
from schemas.record import Record
from schemas.run import Mode, OnTruncate, SourceOptions
from schemas.spec import ModelOptions
from schemas.store import Store


class Where(Record):
    """Where a run's jobs are done."""

    broker: str | None = None
    workers: int | None = Field(default=None, gt=0)
    device: str = "auto"

    @property
    def broker_url(self) -> str | None:
        """The broker that was named, else the environment's, else None: embedded."""
        return self.broker or os.environ.get("VECMILL_BROKER_URL")


class EmbedRequest(Record):
    """A source, a model, a table, and how to run. `broker` None means embedded: a private Redis and workers here."""

    source: SourceOptions
    model: ModelOptions
    to: str
    store: Store = "float32"
    mode: Mode = "upsert"
    on_truncate: OnTruncate = "keep"
    run_id: RunId | None = None
    where: Where = Where()
