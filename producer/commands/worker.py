"""`vecmill worker`: Celery with the right flags, and the worker's own settings in its environment."""

import os
from pathlib import Path
from typing import Any

import click

import producer
from producer.broker import connect
from producer.commands.options import broker_option, device_option, log_option, metrics_options
from producer.embedded.machine import gpus_for, threads_for
from producer.embedded.workers import JOBS_IN_FLIGHT, JOBS_IN_FLIGHT_GPU, worker_command, worker_env
from producer.request import Where
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.ledger import GRACE_SECONDS
from schemas.transport import as_list


@click.command()
@broker_option
@device_option
@click.option("--jobs-in-flight", type=click.IntRange(min=1), help="Default 4 on a CPU, 32 on a GPU.")
@click.option("--threads", type=click.IntRange(min=1),
              help="CPU threads. Default 1 on a CPU: one-thread workers, one per core, are fastest; with a GPU the "
                   "cores for each GPU, to tokenize.")  # fmt: skip
@click.option("--grace-seconds", type=click.FloatRange(min=0), default=GRACE_SECONDS, show_default=True,
              help="Once told to end, it finishes its jobs for so long, and hands back the rest.")  # fmt: skip
@click.option("--allow-model", multiple=True, metavar="GLOB", help="Models that runs may name; default any.")
@click.option(
    "--allow-root",
    multiple=True,
    metavar="TABLE",
    help="Where runs may write: a folder or s3://bucket/prefix; default the current folder.",
)
@metrics_options
@log_option
@click.option("--trust-remote-code", is_flag=True, help="Run code that a model brings. Only for models you trust.")
def worker(broker: str | None, device: str, jobs_in_flight: int | None, threads: int | None, **options: Any) -> int:
    r"""Start one worker on this machine: one per GPU, or one per CPU core.

    \b
    export VECMILL_BROKER_URL=redis://:secret@queue-host:6379/0
    vecmill worker --device cuda:0 --allow-root /data/embeddings
    """
    url = Where(broker=broker).broker_url
    if url is None:
        raise UsageError("a worker needs a broker", way_out="--broker redis://... or VECMILL_BROKER_URL")
    connect(url).close()
    settings = {
        "VECMILL_BROKER_URL": url,
        "VECMILL_DEVICE": device,
        "VECMILL_GRACE_SECONDS": str(options["grace_seconds"]),
        "VECMILL_ALLOW_MODELS": as_list(options["allow_model"]),
        # Absolute, since the worker runs in a folder of its own.
        "VECMILL_ALLOW_ROOTS": as_list(map(normal, options["allow_root"] or (".",))),
        "VECMILL_LOG_FORMAT": options["log_format"],
        "VECMILL_TRUST_REMOTE_CODE": "1" if options["trust_remote_code"] else "0",
    }
    if options["metrics_port"] is not None:
        settings["VECMILL_METRICS_HOST"] = options["metrics_host"]
        settings["VECMILL_METRICS_PORT"] = str(options["metrics_port"])
    # Celery imports from where it runs, and the current folder may hold a `worker.py` of its own.
    os.chdir(Path(producer.__file__).parents[1])
    jobs = jobs_in_flight or (JOBS_IN_FLIGHT_GPU if gpus_for(device) else JOBS_IN_FLIGHT)
    command = worker_command(jobs)
    if options["log_format"] == "json":
        # Celery's banner is no JSON.
        command.insert(command.index("celery") + 1, "--quiet")
    os.execvpe(command[0], command, worker_env(settings, threads=threads or threads_for(device)))
