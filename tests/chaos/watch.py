"""Looks on while faults strike: a reader that polls the table, and who holds which job of the ledger when."""

import threading
import time

import redis

from producer.table import open_table
from schemas.errors import BucketAway
from schemas.files import names_in
from schemas.ledger import RunKeys
from tests.chaos.corpus import Corpus
from tests.chaos.oracle import check_version

_POLL_SECONDS = 0.25


class Looking:
    """A thread that looks again and again until it is stopped; what it raises is kept in `wrong`."""

    def __init__(self, name: str) -> None:
        self.wrong: list[BaseException] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        raise NotImplementedError

    def _loop(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            try:
                self.look()
            except BaseException as error:
                self.wrong.append(error)
                return


class Reader(Looking):
    """Reads the table as it is now, over and over: once there is a version, one can be read whenever its store is."""

    def __init__(self, table: str, corpora: list[Corpus]) -> None:
        super().__init__("reader")
        self._table, self._corpora = table, corpora
        self._last = -1
        self.reads = 0

    def look(self) -> None:
        try:
            self._look()
        except BucketAway:
            return

    def _look(self) -> None:
        state = open_table(self._table) if self._last >= 0 or names_in(f"{self._table}/_delta_log") else None
        if state is None:
            if self._last >= 0:
                raise AssertionError(f"version {self._last} was there and is gone")
            return
        if state.version < self._last:
            raise AssertionError(f"version {state.version} came after version {self._last}")
        check_version(self._table, self._corpora[state.version], state.version)
        self._last = state.version
        self.reads += 1


class Holders(Looking):
    """Who holds each job, asked of the ledger behind any broken network; says how long struck jobs were nobody's."""

    def __init__(self, client: redis.Redis, run: str) -> None:
        super().__init__("holders")
        self._client, self._keys = client, RunKeys(run)
        self._struck: dict[int, tuple[float, bytes, str]] = {}
        self.recovered: dict[str, list[float]] = {}

    def strike(self, kind: str, worker: str) -> None:
        """A worker has just been struck: from now on, how long until each job of it is at work elsewhere, or done?"""
        now = time.monotonic()
        for job, owner in self._owners().items():
            if owner.decode() == worker:
                self._struck[job] = (now, owner, kind)

    @property
    def waits(self) -> bool:
        """Whether jobs of a struck worker are still nobody's."""
        return bool(self._struck)

    def disturb(self) -> None:
        """Another fault struck: what is still waited for says nothing of the first one alone."""
        self._struck = {
            job: (since, owner, f"{kind.split(',')[0]}, and more") for job, (since, owner, kind) in self._struck.items()
        }

    def look(self) -> None:
        if not self._struck:
            return
        try:
            owners, done = self._owners(), self._client.get(self._keys.jobs) or b""
        except redis.RedisError:
            return
        for job, (since, owner, kind) in list(self._struck.items()):
            if done[job : job + 1] == b"D" or owners.get(job, owner) != owner:
                del self._struck[job]
                self.recovered.setdefault(kind, []).append(round(time.monotonic() - since, 1))

    def _owners(self) -> dict[int, bytes]:
        try:
            return {int(job): owner for job, owner in self._client.hgetall(self._keys.owners).items()}
        except redis.RedisError:
            return {}
