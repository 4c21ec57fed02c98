"""Workers without a model, many in one process: each is a thread that takes messages and speaks with the real ledger.

    python -m benchmarks.simulated redis://... --workers 64 --chunks-per-second 200

A job takes its chunks divided by the speed; 0 is no time at all. Claims, renewals, heartbeats, finishes, messages and
payloads are the real ones, and so is what Celery's transport writes to Redis for each message (taken and acknowledged).
No part is written, only its receipt is reported, so that disks do not count. It ends when it is terminated.
"""

import argparse
import threading
import time
from typing import Any

import redis

from benchmarks.stub_worker import job_in
from schemas.job import MOST_JOB_ROWS, Job
from schemas.payload import decode_payload
from schemas.receipt import Receipt
from schemas.transport import QUEUE
from worker.leases import Leases
from worker.ledger import Ledger, Verdict

#: Where Celery's transport keeps messages that are taken and not yet acknowledged.
_TAKEN, _TAKEN_INDEX = "vecmill:unacked", "vecmill:unacked_index"
_STACK_BYTES = 256 * 1024


def main() -> None:
    options = _options()
    threading.stack_size(_STACK_BYTES)
    # The pool of a real worker is smaller: it is for one worker, not for all of them.
    client = redis.Redis.from_url(options.url, max_connections=4 * options.workers + 16)
    for number in range(options.first, options.first + options.workers):
        worker = SimulatedWorker(client, f"simulated-{number:04d}", options.chunks_per_second)
        threading.Thread(target=worker.run, daemon=True).start()
    threading.Event().wait()


class SimulatedWorker:
    """One worker with one job in flight."""

    def __init__(self, client: Any, name: str, chunks_per_second: float) -> None:
        self._client = client
        self._name = name
        self._speed = chunks_per_second
        self._ledger = Ledger(client, name)
        self._leases = Leases(self._ledger, describe=lambda: ("none", ()))

    def run(self) -> None:
        """Take messages for ever."""
        self._leases.start()
        while True:
            message = self._client.brpop([QUEUE], timeout=1)
            if message is None:
                continue
            job = job_in(message[1])
            tag = f"{self._name}:{job.job}"
            with self._client.pipeline() as pipe:
                pipe.zadd(_TAKEN_INDEX, {tag: time.time()}).hset(_TAKEN, tag, message[1]).execute()
            self._do(job)
            with self._client.pipeline() as pipe:
                pipe.zrem(_TAKEN_INDEX, tag).hdel(_TAKEN, tag).execute()

    def _do(self, job: Job) -> None:
        if self._ledger.claim(job).verdict is not Verdict.GO:
            return
        began = time.time()
        with self._leases.hold(job):
            payload = self._ledger.payload(job)
            if payload is None:
                return
            rows, source = decode_payload(payload, most_rows=MOST_JOB_ROWS)
            if self._speed:
                time.sleep(len(rows) / self._speed)
        receipt = Receipt(
            run=job.run, job=job.job, fingerprint="none", source=source, rows=len(rows), tokens=20 * len(rows),
            claimed_at=began, durable_at=time.time(), worker=self._name, device="none", dtype="float32",
        )  # fmt: skip
        self._ledger.finish(job, receipt)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first of them")
    parser.add_argument("--chunks-per-second", type=float, default=0.0, help="of one worker; 0: at once")
    return parser.parse_args()


if __name__ == "__main__":
    main()
