"""Everything that one chaos run consists of: a Redis behind a proxy, workers, drivers, and a place for the table."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import redis

from producer.embedded.redis_server import RedisServer
from producer.embedded.workers import worker_command, worker_env
from tests.chaos.arithmetic import model_folder
from tests.chaos.driving import Driver, Driving, Task
from tests.chaos.found import server_below, with_variable, workers_below
from tests.chaos.log import Log
from tests.chaos.place import InBucket, OnDisk, Place
from tests.chaos.processes import Kept, environment
from tests.chaos.proxy import Proxy

__all__ = ["Driver", "Log", "Task", "World"]

WORKERS = 2


class World:
    """Begins with a Redis that nobody uses; `begin` gives it workers and a run. `stop` ends what was begun, always."""

    def __init__(self, folder: Path, log: Log, *, seconds_per_text: float, bucket: bool = False) -> None:
        for name in ("switches", "state", "tmp", "redis", "logs"):
            (folder / name).mkdir(parents=True)
        self.folder, self.note = folder, log
        self.workers: list[Kept] = []
        self.drivers: list[Kept] = []
        self._ends: list[Callable[[], object]] = []
        self.env = environment(folder, seconds_per_text=seconds_per_text)
        self.model = model_folder(folder / "model")
        try:
            self._build(bucket)
        except BaseException:
            self.stop()
            raise

    def _build(self, bucket: bool) -> None:
        self.place: Place = (InBucket if bucket else OnDisk)(self.folder)
        self._ends.append(self.place.close)
        self.env |= self.place.env
        self.redis = RedisServer(self.folder / "redis")
        self._ends.append(self._end_redis)
        self.redis.start()
        port = int(self.redis.url.rpartition(":")[2].partition("/")[0])
        self.proxy = Proxy(port)
        self._ends.append(self.proxy.stop)
        self.url = self.redis.url.replace(f":{port}/", f":{self.proxy.port}/")
        #: Behind the proxy, for looking on.
        self.client = redis.Redis.from_url(self.redis.url, socket_timeout=2)

    @property
    def table(self) -> str:
        return self.place.table

    def begin(self, task: Task) -> None:
        """Start who drives the run, and workers where they are not its own."""
        self.task = task
        self.driving = Driving(task, self.table, self.model, self.client, self.note, WORKERS)
        if task.driver != "embedded" and not self.workers:
            for number in range(WORKERS):
                self.workers.append(self._worker(number))
        self.drivers = []
        for at, command in enumerate(self.driving.commands()):
            self.drivers.append(self.keep(f"driver-{task.run}-{at}", command))

    def keep(self, name: str, command: Callable[[Kept], list[str] | None]) -> Kept:
        """One more process of ours, kept alive."""
        broker = {} if self.task.driver == "embedded" else {"VECMILL_BROKER_URL": self.url}
        return Kept(name, command, env=lambda _: self.env | broker, folder=self.folder / "logs", note=self.note)

    def committed(self) -> bool:
        """Whether the run is in the table."""
        return self.driving.committed()

    def parts(self) -> int:
        """How many parts the run has."""
        return self.place.parts(self.task.run)

    def worker_pids(self) -> list[int]:
        """The workers that live, wherever they come from."""
        if self.task.driver != "embedded":
            return [pid for kept in self.workers if (pid := kept.pid) is not None]
        return workers_below(self._driver_pid())

    def redis_pid(self) -> int | None:
        """The Redis server of the run."""
        if self.task.driver == "embedded":
            return server_below(self._driver_pid())
        return server_below(os.getpid(), str(self.folder / "redis"))

    def switch(self, name: str, value: object = None) -> None:
        """Set a switch that processes look at, or take it away."""
        path = self.folder / "switches" / name
        if value is None:
            path.unlink(missing_ok=True)
            return
        path.with_suffix(".new").write_text(str(value))
        path.with_suffix(".new").rename(path)

    def stop_drivers(self) -> None:
        for kept in self.drivers:
            kept.stop()

    def left(self) -> list[str]:
        """Processes and folders that runs of this world left behind, once it has stopped."""
        processes = with_variable("CHAOS_SWITCHES", str(self.folder / "switches"))
        return [*processes, *map(str, (self.folder / "tmp").glob("vecmill-*"))]

    def stop(self) -> None:
        """End everything that is left of what was begun here; again is nothing."""
        for kept in [*self.drivers, *self.workers]:
            kept.stop()
        while self._ends:
            self._ends.pop()()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_redis(self) -> None:
        pid = server_below(os.getpid(), str(self.folder / "redis"))
        if pid is not None:
            os.kill(pid, signal.SIGCONT)
        self.redis.stop()

    def _driver_pid(self) -> int | None:
        return self.drivers[0].pid if self.drivers else None

    def _worker(self, number: int) -> Kept:
        settings = {
            "VECMILL_BROKER_URL": self.url, "VECMILL_DEVICE": "cpu", "VECMILL_ALLOW_ROOTS": self.place.root,
        }  # fmt: skip

        def env(kept: Kept) -> dict[str, str]:
            name = {"VECMILL_WORKER": f"chaos-{number}:{kept.starts}"}
            return worker_env(settings, threads=1) | self.env | settings | name

        return Kept(
            f"worker-{number}", lambda _: worker_command(2), env=env, folder=self.folder / "logs", note=self.note
        )
