"""Everything that one chaos run consists of: a Redis behind a proxy, workers, who drives the run, and a disk."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import psutil
import redis

from producer.embedded.redis_server import RedisServer
from producer.embedded.workers import worker_command, worker_env
from producer.ledger import known_runs
from producer.table import committed_version
from tests.chaos.arithmetic import model_folder
from tests.chaos.disk import Disk, disk_at
from tests.chaos.processes import RETRY, Kept, environment, vecmill
from tests.chaos.proxy import Proxy

#: Who drives the run: `vecmill embed` with a broker; two `vecmill serve`; `vecmill embed` with a Redis of its own.
Driver = Literal["embed", "serve", "embedded"]

WORKERS = 2
_SERVERS = ("valkey-server", "redis-server")


class Log:
    """What happened when, a line of JSON each; the seconds are those since the beginning."""

    def __init__(self, path: Path) -> None:
        self._began = time.monotonic()
        self._file: IO[str] = path.open("w", buffering=1)

    def __call__(self, what: str) -> None:
        self._file.write(json.dumps({"at": round(time.monotonic() - self._began, 2), "what": what}) + "\n")


@dataclass(frozen=True)
class Task:
    """One run that the world is to carry out."""

    run: str
    corpus: Path
    table: Path
    driver: Driver


class World:
    """Begins with a Redis and workers that have nothing to do; `begin` gives them a run."""

    def __init__(self, folder: Path, log: Log, *, seconds_per_text: float) -> None:
        for name in ("switches", "state", "tmp", "redis", "logs"):
            (folder / name).mkdir(parents=True)
        self.folder, self.note = folder, log
        self.disk: Disk = disk_at(folder)
        self.model = model_folder(folder / "model")
        self.env = environment(folder, seconds_per_text=seconds_per_text)
        self.redis = RedisServer(folder / "redis")
        self.redis.start()
        port = int(self.redis.url.rpartition(":")[2].partition("/")[0])
        self.proxy = Proxy(port)
        self.url = self.redis.url.replace(f":{port}/", f":{self.proxy.port}/")
        #: Behind the proxy, for looking on.
        self.client = redis.Redis.from_url(self.redis.url, socket_timeout=2)
        self.workers: list[Kept] = []
        self.drivers: list[Kept] = []
        self._stopped = False

    def begin(self, task: Task) -> None:
        """Start who drives the run, and workers where they are not its own."""
        self.task = task
        if task.driver != "embedded" and not self.workers:
            self.workers = [self._worker(number) for number in range(WORKERS)]
        kept = {"embed": [self._embed], "serve": [self._detach, self._serve, self._serve], "embedded": [self._embed]}
        self.drivers = [self.keep(f"driver-{task.run}-{at}", command) for at, command in enumerate(kept[task.driver])]

    def keep(self, name: str, command: Callable[[Kept], list[str] | None]) -> Kept:
        """One more process of ours, kept alive."""
        broker = {} if self.task.driver == "embedded" else {"VECMILL_BROKER_URL": self.url}
        return Kept(name, command, env=lambda _: self.env | broker, folder=self.folder / "logs", note=self.note)

    def committed(self) -> bool:
        """Whether the run is in the table."""
        return committed_version(str(self.task.table), self.task.run) is not None

    def worker_pids(self) -> list[int]:
        """The workers that live, wherever they come from."""
        if self.task.driver != "embedded":
            return [pid for kept in self.workers if (pid := kept.pid) is not None]
        return [child.pid for child in self._children() if _cmdline(child)[1:5] == ["-m", "celery", "-A", "worker.app"]]

    def redis_pid(self) -> int | None:
        """The Redis server of the run."""
        if self.task.driver != "embedded":
            return self._server_pid(psutil.Process().children(recursive=True), str(self.folder / "redis"))
        return self._server_pid(self._children(), "")

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
        mine = str(self.folder / "switches")
        processes = [one for one in psutil.process_iter() if _environ(one).get("CHAOS_SWITCHES") == mine]
        folders = (self.folder / "tmp").glob("vecmill-*")
        return [*(" ".join(_cmdline(one)) for one in processes), *map(str, folders)]

    def stop(self) -> None:
        """End everything that is left of what was begun here; again is nothing."""
        if self._stopped:
            return
        self._stopped = True
        for kept in [*self.drivers, *self.workers]:
            kept.stop()
        self.proxy.stop()
        pid = self.redis_pid() if self.task.driver != "embedded" else None
        if pid is not None:
            os.kill(pid, 18)
        self.redis.stop()
        self.disk.close()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _worker(self, number: int) -> Kept:
        settings = {
            "VECMILL_BROKER_URL": self.url, "VECMILL_DEVICE": "cpu", "VECMILL_ALLOW_ROOTS": str(self.task.table.parent),
        }  # fmt: skip

        def env(kept: Kept) -> dict[str, str]:
            name = {"VECMILL_WORKER": f"chaos-{number}:{kept.starts}"}
            return worker_env(settings, threads=1) | self.env | settings | name

        return Kept(
            f"worker-{number}", lambda _: worker_command(2), env=env, folder=self.folder / "logs", note=self.note
        )

    def _embed(self, kept: Kept) -> list[str] | None:
        if kept.codes and kept.codes[-1] == 0:
            return None
        if RETRY in kept.said():
            self.note("a person types `vecmill retry`")
            return vecmill("retry", self.task.run)
        workers = ["--workers", str(WORKERS), "--device", "cpu"] if self.task.driver == "embedded" else []
        return [*self.arguments(), *workers]

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
                return not self.committed()
            return self.client.hget(f"vecmill:run:{self.task.run}", "state") == b"failed"
        except redis.RedisError:
            return False

    def _serve(self, _: Kept) -> list[str]:
        return vecmill("serve")

    def arguments(self) -> list[str]:
        """The command line that carries out the run."""
        task = self.task
        return vecmill("embed", task.corpus, "--model", self.model, "--to", task.table, "--run-id", task.run)

    def _children(self) -> list[psutil.Process]:
        pid = self.drivers[0].pid if self.drivers else None
        try:
            return psutil.Process(pid).children(recursive=True) if pid is not None else []
        except psutil.NoSuchProcess:
            return []

    def _server_pid(self, among: list[psutil.Process], folder: str) -> int | None:
        found = [one.pid for one in among if _name(one) in _SERVERS and folder in " ".join(_cmdline(one))]
        return found[0] if found else None


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
