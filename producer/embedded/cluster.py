"""The private Redis and the workers of one embedded run, started and ended together."""

import glob
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from producer.embedded.machine import Crew
from producer.embedded.redis_server import RedisServer, find_server
from producer.embedded.workers import GRACE_SECONDS, LocalWorkers
from schemas.run import RunRecord
from schemas.transport import as_list


class LocalCluster:
    """A context manager: inside it, `url` is a Redis that has workers for this run, and only for this run."""

    def __init__(self, record: RunRecord, *, crew: Crew, device: str) -> None:
        find_server()  # Before there is anything to remove.
        self._folder = Path(tempfile.mkdtemp(prefix="vecmill-"))
        self._record = record
        self._device = device
        self._crew = crew
        self._redis = RedisServer(self._folder)
        self._workers: LocalWorkers | None = None
        self._gone: list[str] = []

    @property
    def url(self) -> str:
        """The private Redis, with its password: never to be logged."""
        return self._redis.url

    def __enter__(self) -> Self:
        try:
            self._redis.start()
            self._workers = LocalWorkers(self._crew, settings=self._worker_settings(), folder=self._folder)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without an error the run is committed: Celery would wait for Redis once more, for up to a second.
        self.stop(idle=kind is None)

    def keep_alive(self) -> list[str]:
        """Start again what has died; says what that was. Raises `RunFailed` when it keeps dying."""
        news = ["the private Redis had ended and was started again"] if self._redis.keep_alive() else []
        died = self._workers.keep_alive() if self._workers is not None else []
        self._gone += died
        return [*news, *([f"{len(died)} worker(s) had ended and were started again"] if died else [])]

    def gone(self) -> list[str]:
        """The workers that have died and whose leases are not ended yet; call `buried` when they are."""
        return list(self._gone)

    def buried(self, worker: str) -> None:
        """Nothing is left in the ledger of one that died."""
        self._gone.remove(worker)

    def progressed(self) -> None:
        """A job got done since the last look, or more is known of which row kills workers."""
        if self._workers is not None:
            self._workers.progressed()

    def stop(self, *, idle: bool = False) -> None:
        """End the workers, then Redis, and remove what they left. `idle`: no worker has anything in flight."""
        if self._workers is not None:
            self._workers.stop(idle=idle)
        self._redis.stop(remove=True)
        # Where no Redis was started.
        shutil.rmtree(self._folder, ignore_errors=True)

    def _worker_settings(self) -> dict[str, str]:
        spec = self._record.spec
        return {
            "VECMILL_BROKER_URL": self.url,
            "VECMILL_DEVICE": self._device,
            "VECMILL_GRACE_SECONDS": str(GRACE_SECONDS / 2),
            # These and no others, whatever letters of a pattern or a list are in their names.
            "VECMILL_ALLOW_MODELS": as_list(map(glob.escape, filter(None, (spec.model, spec.base)))),
            "VECMILL_ALLOW_ROOTS": as_list([self._record.table]),
            "VECMILL_TRUST_REMOTE_CODE": "1" if spec.trust_remote_code else "0",
        }
