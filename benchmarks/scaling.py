"""Runs through a real Redis with 1 to 512 simulated workers: where does the queue, not the encoding, become the limit?

    python -m benchmarks.scaling --workers 1 8 64 512

Producer, queue, ledger and messages are the real ones; the workers are those of benchmarks.simulated, in a process of
their own, each a second at every job or (--flat-out) no time at all. What is said per job are CPU seconds of the Redis
process and of the producer's: those hold whatever else the machine does. The last line of stdout is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.memory import write_corpus
from producer.broker import Broker
from producer.driver import Driver
from producer.embedded.redis_server import RedisServer
from producer.ledger import living_workers
from producer.place import Place
from producer.progress import View
from producer.source import open_source
from schemas.run import RunRecord, SourceOptions
from schemas.spec import Module, Spec

_JOB_ROWS = 128


def main() -> None:
    options = _options()
    # At a job a second each, or at once.
    speed = 0 if options.flat_out else _JOB_ROWS
    jobs = {workers: options.jobs_each * (max(options.workers) if options.flat_out else workers)
            for workers in options.workers}  # fmt: skip
    runs = []
    with tempfile.TemporaryDirectory(prefix="vecmill-scaling-") as folder:
        work = Path(folder)
        corpus = write_corpus(work / "corpus.parquet", max(jobs.values()) * _JOB_ROWS, ids=True)
        for workers in options.workers:
            with a_server(work / f"redis-{workers}") as server, simulated(server.url, workers, speed):
                runs.append({"workers": workers} | measured(a_record(corpus, work, jobs=jobs[workers]), server.url))
            print(json.dumps(runs[-1]), file=sys.stderr)
    print(json.dumps({"flat_out": options.flat_out, "job_rows": _JOB_ROWS, "runs": runs} | machine.facts()))


def measured(record: RunRecord, url: str) -> dict[str, Any]:
    """One run to the end of its jobs: jobs a second, and what a job costs on either side of the socket."""
    broker = Broker(url)
    watching = Watching(broker.client)
    before, own_before, began = redis_spent(broker.client), time.process_time(), time.monotonic()
    with Place(broker.ledger(record.run), watching) as place:
        source = open_source(record.source)
        Driver(record, source, broker=broker, display=watching, place=place, parts=dict).run()
    seconds, own = time.monotonic() - began, time.process_time() - own_before
    spent = {name: value - before[name] for name, value in redis_spent(broker.client).items()}
    broker.close()
    jobs = -(-record.rows // record.job_rows)
    return {
        "jobs": jobs,
        "seconds": round(seconds, 2),
        "jobs_per_second": round(jobs / seconds, 1),
        "redis_cpu_us_per_job": round(spent["cpu_seconds"] / jobs * 1e6),
        "redis_cpu_share": round(spent["cpu_seconds"] / seconds, 3),
        "redis_commands_per_job": round(spent["commands"] / jobs, 1),
        "producer_cpu_us_per_job": round(own / jobs * 1e6),
        "producer_cpu_share": round(own / seconds, 3),
        "redis_peak_mib": round(watching.most_bytes / 2**20, 1),
        "most_jobs_in_window": watching.most_jobs,
    }


class Watching:
    """A display that only remembers the most it has seen."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.most_jobs = self.most_bytes = 0

    def show(self, view: View) -> None:
        """Look at the window, and at what Redis takes for it."""
        self.most_jobs = max(self.most_jobs, view.queued + view.in_flight)
        self.most_bytes = max(self.most_bytes, self._client.info("memory")["used_memory"])

    def say(self, text: str) -> None:
        """Anything that is said is unexpected."""
        print(text, file=sys.stderr)

    def close(self) -> None:
        """Nothing to tidy."""


def redis_spent(client: Any) -> dict[str, float]:
    """What the server has spent so far."""
    info = client.info()
    cpu = info["used_cpu_user"] + info["used_cpu_sys"]
    return {"cpu_seconds": cpu, "commands": info["total_commands_processed"]}


def a_record(corpus: Path, work: Path, *, jobs: int, job_rows: int = _JOB_ROWS) -> RunRecord:
    """A run of so many jobs over the corpus."""
    spec = Spec(
        model="simulated", content="none", modules=(Module(kind="Transformer"),), dims=8, normalize=True,
        dtype="float32",
    )  # fmt: skip
    rows = jobs * job_rows
    return RunRecord(
        run=f"jobs-{jobs}", table=str(work / "table"), source=SourceOptions(paths=(str(corpus),), limit=rows),
        spec=spec, rows=rows, source_state="none", job_rows=job_rows, created_at=time.time(),
    )  # fmt: skip


@contextmanager
def a_server(folder: Path) -> Iterator[RedisServer]:
    """A Redis as an embedded run has it."""
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def simulated(url: str, workers: int, chunks_per_second: float) -> Iterator[None]:
    """So many simulated workers, all of them at work."""
    command = [sys.executable, "-m", "benchmarks.simulated", url, "--workers", str(workers)]
    process = subprocess.Popen([*command, "--chunks-per-second", str(chunks_per_second)])
    try:
        broker = Broker(url)
        while len(living_workers(broker.client)) < workers:
            time.sleep(0.1)
        broker.close()
        yield
    finally:
        process.terminate()
        process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64, 512], help="default: 1 8 64 512")
    parser.add_argument("--jobs-each", type=int, default=12, help="jobs for each worker (default 12)")
    parser.add_argument("--flat-out", action="store_true", help="jobs take no time: what the queue itself can carry")
    return parser.parse_args()


if __name__ == "__main__":
    main()
