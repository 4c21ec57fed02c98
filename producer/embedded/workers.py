"""Worker processes on this machine: how many, with how many threads, and what becomes of them when they die."""

import os
import sys
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from producer.embedded.machine import Crew, gpu_count
from producer.embedded.process import GuardedProcess
from schemas.errors import RunFailed, UsageError
from schemas.transport import CANNOT_START

#: Jobs that a worker keeps in flight, so that tokenizing and writing overlap with encoding.
JOBS_IN_FLIGHT = 4
JOBS_IN_FLIGHT_GPU = 32
#: What they have between being asked to end and being killed.
GRACE_SECONDS = 5
#: Workers that die more often than this, with no job done and no row found out meanwhile, are not started again.
MOST_DEATHS = 8


def worker_command(jobs_in_flight: int) -> list[str]:
    """The command line of one worker: Celery with the flags that Vecmill needs."""
    return [
        sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--pool", "threads",
        "--concurrency", str(jobs_in_flight), "--without-gossip", "--without-mingle",
        "--hostname", f"vecmill-{os.getpid()}-%n@%h", "--loglevel", "INFO",
    ]  # fmt: skip


def worker_env(settings: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """The environment of one worker; a thread pool that is wider than its cores only slows all workers down."""
    count = str(threads)
    return {
        **os.environ,
        **settings,
        "VECMILL_THREADS": count,
        "OMP_NUM_THREADS": count,
        "RAYON_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "true",
    }


class LocalWorkers:
    """Keeps a number of workers running until they are told to end."""

    def __init__(self, crew: Crew, *, settings: Mapping[str, str], folder: Path) -> None:
        if find_spec("torch") is None or find_spec("transformers") is None:
            raise UsageError(
                "this machine has no worker: torch and transformers are not installed",
                way_out="pip install 'vecmill[embedded]', or pass --broker of a cluster that has workers",
            )
        self._env = worker_env(settings, threads=crew.threads)
        self._gpus = 0 if settings.get("VECMILL_DEVICE") == "cpu" else gpu_count()
        self._folder = folder
        self._deaths = 0
        self._names: dict[int, str] = {}
        self._processes = [self._start(number) for number in range(crew.workers)]

    def keep_alive(self) -> list[str]:
        """Start again what has died; returns who that was. Raises `RunFailed` when dying is all they do."""
        refused = next((one for one in self._processes if one.exit_code() == os.EX_CONFIG), None)
        if refused is not None:
            # It says why behind these words, and would say so at every start.
            why = refused.tail().rpartition(CANNOT_START)[2]
            raise RunFailed(f"the workers on this machine cannot start: {why}")
        dead = [number for number, process in enumerate(self._processes) if process.exit_code() is not None]
        self._deaths += len(dead)
        if dead and self._deaths > MOST_DEATHS:
            last = self._processes[dead[0]]
            raise RunFailed(f"the workers on this machine keep dying; the last words of one:\n{last.tail()}")
        names = [self._names[number] for number in dead]
        for number in dead:
            self._processes[number] = self._start(number)
        return names

    def progressed(self) -> None:
        """A job got done, or a death said more of which row is at fault: earlier deaths are forgiven."""
        self._deaths = 0

    def stop(self, *, idle: bool = False) -> None:
        """End them all; what they had in flight is nobody's loss. `idle`: that is nothing, and no grace is needed."""
        for process in self._processes:
            process.ask_to_end()
            if idle:
                process.hurry()
        for process in self._processes:
            process.wait()

    def _start(self, number: int) -> GuardedProcess:
        log = self._folder / f"worker-{number}.log"
        # A name that is known here, so that the leases of one that died need not run out.
        self._names[number] = f"local:{number}:{uuid.uuid4().hex[:8]}"
        env = {**self._env, "VECMILL_WORKER": self._names[number]}
        if self._gpus:
            env["CUDA_VISIBLE_DEVICES"] = str(number % self._gpus)
        jobs = JOBS_IN_FLIGHT_GPU if self._gpus else JOBS_IN_FLIGHT
        return GuardedProcess(worker_command(jobs), log=log, env=env, grace_seconds=GRACE_SECONDS)
