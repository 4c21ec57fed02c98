"""Who drives the run of a chaos world, and what each types, at its first start and after every end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis

from producer.ledger import known_runs
from producer.table import committed_version
from schemas.errors import BucketAway
from tests.chaos.processes import RETRY, Kept, vecmill

#: `vecmill embed` with a broker; two `vecmill serve`; `vecmill embed` with a Redis of its own.
Driver = Literal["embed", "serve", "embedded"]


@dataclass(frozen=True)
class Task:
    """One run that the world is to carry out."""

    run: str
    corpus: Path
    driver: Driver


@dataclass(frozen=True)
class Driving:
    """The command lines of one task; `client` looks on, `workers` are those of an embedded run."""

    task: Task
    table: str
    model: Path
    client: redis.Redis
    note: Callable[[str], None]
    workers: int

    def commands(self) -> list[Callable[[Kept], list[str] | None]]:
        """One for each process that drives the run."""
        return {
            "embed": [self._embed],
            "serve": [self._detach, self._serve, self._serve],
            "embedded": [self._embed],
        }[self.task.driver]

    def arguments(self) -> list[str]:
        """The command line that carries out the run."""
        return vecmill("embed", self.task.corpus, "--model", self.model, "--to", self.table, "--run-id", self.task.run)

    def committed(self) -> bool:
        """Whether the run is seen in the table."""
        try:
            return self._is_committed()
        except BucketAway:
            return False

    def _embed(self, kept: Kept) -> list[str] | None:
        if kept.codes and kept.codes[-1] == 0:
            return None
        if RETRY in kept.said():
            self.note("a person types `vecmill retry`")
            return vecmill("retry", self.task.run)
        own = ["--workers", str(self.workers), "--device", "cpu"] if self.task.driver == "embedded" else []
        return [*self.arguments(), *own]

    def _detach(self, kept: Kept) -> list[str] | None:
        """Hand the run to the services, again where Redis forgot it or they gave it up."""
        while not self._forgotten():
            if self.committed():
                return None
            time.sleep(1)
        return [*self.arguments(), "--detach"]

    def _forgotten(self) -> bool:
        try:
            if self.task.run not in known_runs(self.client):
                return not self._is_committed()
            return self.client.hget(f"vecmill:run:{self.task.run}", "state") == b"failed"
        except (redis.RedisError, BucketAway):
            return False

    def _is_committed(self) -> bool:
        return committed_version(self.table, self.task.run) is not None

    def _serve(self, _: Kept) -> list[str]:
        return vecmill("serve")
