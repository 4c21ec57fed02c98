"""The Celery app: its boot, its shutdown and its one task. Knows nothing of what happens to a job.

    celery -A worker.app worker --pool threads --concurrency 4 --without-gossip --without-mingle

is what `vecmill worker` starts. The message is only a name, so a message cannot make this process do
anything but a job that the ledger lists, with a model and into a folder that its own settings allow.
"""

import atexit
import functools
import logging
import os
import socket
import sys
import uuid
from typing import TYPE_CHECKING, Any

from celery import Celery, bootsteps
from celery.signals import celeryd_init, setup_logging, worker_init, worker_shutting_down
from kombu import Queue
from pydantic import ValidationError

from schemas.errors import UsageError
from schemas.job import Job
from schemas.logs import configure_logs
from schemas.transport import CANNOT_START, CELERY_SETTINGS, QUEUE, TASK_NAME, verified
from worker.imports import kept
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.runtime import Runtime

log = logging.getLogger(__name__)


class _App(Celery):
    """Checks certificates wherever the broker's address comes from: the environment, a file, or `celery -b`."""

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        return super().connection_for_read(verified(url or self.conf.broker_read_url), **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        return super().connection_for_write(verified(url or self.conf.broker_write_url), **options)


app = _App("vecmill", set_as_current=False)
app.conf.update(
    CELERY_SETTINGS,
    broker_transport="worker.transport:Transport",
    task_queues=[Queue(QUEUE, routing_key=QUEUE)],
    # Acknowledged when the part is durable and the ledger knows it; one message per free thread.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_send_task_events=False,
)
app.add_defaults(lambda: {"broker_url": verified(os.environ.get("VECMILL_BROKER_URL", "")) or None})

_runtime: "Runtime | None" = None


@celeryd_init.connect
def _refuse_forks(conf: Any, options: dict[str, Any], **_: Any) -> None:
    """A forked child cannot use a device that its parent touched, and jobs of several children share no batch."""
    pool = options.get("pool") or conf.worker_pool
    name = getattr(pool, "__module__", str(pool)).rpartition(".")[2]
    if name not in {"threads", "thread", "solo"}:
        raise SystemExit(f"vecmill needs the threads pool, not {name!r}: celery -A worker.app worker --pool threads")


@celeryd_init.connect
def _log_from_the_start(**_: Any) -> None:
    """Celery warns before it sets up its logs."""
    _log(logging.INFO, None)


@setup_logging.connect
def _log(loglevel: int, logfile: str | None, **_: Any) -> None:
    configure_logs(os.environ.get("VECMILL_LOG_FORMAT", "lines"), file=logfile, level=loglevel, worker=_name())


@functools.cache
def _name() -> str:
    """What this process is called in leases, receipts and logs."""
    return os.environ.get("VECMILL_WORKER") or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _read() -> "type[Runtime]":
    """Only a worker needs torch: `celery inspect` and the like import this module, too, and shall not wait for it."""
    with kept():
        from worker.runtime import Runtime
    return Runtime


@worker_init.connect
def _boot(**_: Any) -> None:
    global _runtime
    try:
        settings = WorkerSettings.from_env({**os.environ, "VECMILL_BROKER_URL": app.conf.broker_read_url or ""})
        _runtime = _read()(settings, worker=_name())
        _runtime.start()
        # Celery's own shutdown signal comes while jobs are still at work, and they need engine and leases to finish.
        atexit.register(_runtime.stop)
    except UsageError as error:
        # Another start would end the same way, and whoever started this one may look for why.
        sys.stderr.write(f"{CANNOT_START}{error}\n")
        raise SystemExit(os.EX_CONFIG) from None
    except Exception as error:
        # Celery would log it and go on with a worker that can do nothing.
        log.exception("the worker cannot start", extra={"action": "worker_boot_failed"})
        raise SystemExit(f"the worker cannot start: {error}") from error


@worker_shutting_down.connect
def _depart(**_: Any) -> None:
    if _runtime is not None:
        _runtime.depart()


class _Leaving(bootsteps.StartStopStep):
    """A shutdown that no signal announced, as `celery control shutdown` is: it, too, ends within the grace time."""

    def close(self, worker: Any) -> None:
        _depart()


app.steps["worker"].add(_Leaving)


@app.task(name=TASK_NAME)
def embed(run: str, job: int) -> str:
    """Do one job. Whatever becomes of it is in the ledger; the message is done with."""
    try:
        name = Job(run=run, job=job)
    except ValidationError as error:
        log.error("not a job: %s", error, extra={"action": "job_malformed"})
        return "malformed"
    if _runtime is None:
        raise RuntimeError("the worker was not booted: start it with `celery -A worker.app worker --pool threads`")
    return _runtime.pipeline.run(name)
