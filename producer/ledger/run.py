"""One run's ledger, as its producer uses it."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import islice
from typing import Any

import redis

from producer.ledger.progress import Progress
from producer.ledger.reading import read
from schemas.errors import UsageError
from schemas.ledger import LEASE_SECONDS, MOST_REST_SECONDS, RUNS_KEY, WORKERS_KEY, RunKeys
from schemas.receipt import COUNTERS, Receipt
from schemas.run import RunRecord, RunState

#: A published message that nobody claimed for so long, and that the queue does not hold, was lost.
UNCLAIMED_SECONDS = 10
#: The place of a run's producer is free again so long after its last sign of life.
PRODUCER_SECONDS = 15
#: How long the ledger of a run that ended is kept for `status`.
KEEP_ENDED_SECONDS = 7 * 24 * 3600


class Ledger:
    """One run's ledger, seen from its producer."""

    def __init__(self, client: redis.Redis, run: str) -> None:
        self.run = run
        self._keys = RunKeys(run)
        self._redis: Any = client
        self._scripts = {
            path.name.removesuffix(".lua"): client.register_script(path.read_text())
            for path in files("producer.ledger").iterdir()
            if path.name.endswith(".lua")
        }

    def record(self) -> RunRecord | None:
        """The run's record, where Redis knows it."""
        text = self._redis.hget(self._keys.run, "record")
        return None if text is None else read(RunRecord, text)

    def open(self, record: RunRecord) -> None:
        """Begin the run, or begin again to drive it: what is done follows from `adopt`, never from memory.

        Leases and attempts stay: workers may be at their jobs, and a job that kills its workers stays known.
        """
        self.check_free(record.table)
        fields = {"record": record.model_dump_json(), "state": "running", "enqueued": 0, "done": 0, "dead": 0}
        counters = dict.fromkeys(COUNTERS, 0)
        k = self._keys
        with self._redis.pipeline() as pipe:
            pipe.hdel(k.run, "jobs", "reason")
            pipe.hset(k.run, mapping={**fields, **counters})
            pipe.delete(k.jobs, k.sent, *k.of_workers())
            pipe.zadd(RUNS_KEY, {self.run: record.created_at})
            for key in k.all_but_payloads():
                pipe.persist(key)
            pipe.execute()

    def check_free(self, table: str) -> None:
        """Raise `UsageError` where this Redis knows the run id as a run of another table: their jobs would mix."""
        known = self.record()
        if known is not None and known.table != table:
            raise UsageError(
                f"run {self.run} is a run of another table on this Redis: {known.table}",
                way_out="choose another --run-id, or leave it out",
            )

    def adopt(self, receipts: Iterable[Receipt]) -> None:
        """Take the parts that exist for done, whatever the ledger thought of their jobs."""
        k = self._keys
        adopt = self._scripts["adopt"]
        for some in batched(receipts, 500):
            with self._redis.pipeline(transaction=False) as pipe:
                for receipt in some:
                    keys = [k.run, k.jobs, k.sent, k.leases, k.payload(receipt.job), *k.of_a_job()]
                    counters = [item for pair in receipt.counters().items() for item in pair]
                    adopt(keys=keys, args=[receipt.job, *counters], client=pipe)
                pipe.execute()

    def enqueue(self, job: int, payload: bytes) -> bool:
        """Store the rows of a job; True where its message is to be published now."""
        k = self._keys
        keys = [k.run, k.jobs, k.sent, k.leases, k.payload(job)]
        return bool(self._scripts["enqueue"](keys=keys, args=[job, payload]))

    def states(self, jobs: Iterable[int]) -> dict[int, str]:
        """The byte of each of these jobs; "" where the ledger has never heard of it, or no longer has."""
        asked = list(jobs)
        if not asked:
            return {}
        # Jobs in flight are neighbours, mostly: one read of all between costs less than a question for each.
        first = min(asked)
        found = self._redis.getrange(self._keys.jobs, first, max(asked)).decode()
        return {job: found[job - first : job - first + 1].strip("\0") for job in asked}

    def has_payload(self, job: int) -> bool:
        """Whether the rows of a job are still in Redis."""
        return bool(self._redis.exists(self._keys.payload(job)))

    def all_cut(self, jobs: int) -> None:
        """Say how many jobs the run has, once its source is read."""
        self._redis.hset(self._keys.run, "jobs", jobs)

    def overdue(self) -> tuple[list[int], list[int]]:
        """Jobs whose lease ran out, and jobs that nobody claimed for a while: their messages may be lost."""
        k = self._keys
        limits = [UNCLAIMED_SECONDS, LEASE_SECONDS, MOST_REST_SECONDS]
        expired, unclaimed = self._scripts["overdue"](keys=[k.run, k.jobs, k.sent, k.leases], args=limits)
        return [int(job) for job in expired], [int(job) for job in unclaimed]

    def bury(self, worker: str) -> None:
        """End the leases of a worker that is known to be dead, and take it off the list."""
        self._scripts["bury"](keys=[self._keys.leases, self._keys.owners], args=[worker])
        self._redis.hdel(WORKERS_KEY, worker)

    def progress(self) -> Progress | None:
        """How far the run is, or None where Redis has lost it."""
        # In one transaction: a job that is claimed in between would be in neither set.
        with self._redis.pipeline() as pipe:
            pipe.hgetall(self._keys.run)
            pipe.zcard(self._keys.leases)
            pipe.zcard(self._keys.sent)
            pipe.time()
            fields, leased, sent, (seconds, microseconds) = pipe.execute()
        try:
            return self._progress(fields, leased, sent, float(seconds) + float(microseconds) / 1e6)
        except (ValueError, KeyError):
            return None  # Written over by somebody else: as good as lost, and built again like that.

    def _progress(self, fields: Any, leased: int, sent: int, now: float) -> Progress:
        value = {key.decode(): text.decode() for key, text in fields.items() if key != b"record"}
        return Progress(
            state=value["state"],
            reason=value.get("reason", ""),
            jobs=int(value["jobs"]) if "jobs" in value else None,
            enqueued=int(value["enqueued"]),
            done=int(value["done"]),
            dead=int(value["dead"]),
            leased=leased,
            sent=sent,
            deaths=int(value.get("deaths", 0)),
            counters={name: int(value.get(name, 0)) for name in COUNTERS},
            first_claim=float(value["first_claim"]) if "first_claim" in value else None,
            at=now,
        )

    def causes(self) -> dict[int, str]:
        """Why the last attempt at a job failed, for jobs that are not done."""
        return {int(job): cause for job, cause in self._texts(self._keys.causes).items()}

    def refusals(self) -> dict[str, str]:
        """The workers that do not take part in the run, and why."""
        return self._texts(self._keys.refusals)

    def obstacles(self) -> dict[str, str]:
        """The workers that wait because they cannot write, and why."""
        return self._texts(self._keys.obstacles)

    def _texts(self, key: str) -> dict[str, str]:
        said = self._redis.hgetall(key)
        return {name.decode(): text.decode(errors="replace") for name, text in said.items()}

    def set_state(self, state: RunState, reason: str = "") -> None:
        """Pause, resume, cancel, fail or close the run; workers heed it at their next claim."""
        with self._redis.pipeline() as pipe:
            pipe.hset(self._keys.run, mapping={"state": state, "reason": reason})
            if state in ("committed", "cancelled"):
                for key in self._keys.all_but_payloads():
                    pipe.expire(key, KEEP_ENDED_SECONDS)
            pipe.execute()

    def forgive(self) -> None:
        """Forget failed attempts and lost leases, so that dead jobs are tried again when the run is next driven."""
        self._redis.delete(*self._keys.of_its_attempts())

    def forget(self, *, most_jobs: int) -> None:
        """Take a run of so many jobs at most out of Redis; what workers still say of it falls on deaf ears."""
        payloads = map(self._keys.payload, range(most_jobs))
        with self._redis.pipeline() as pipe:
            pipe.delete(*self._keys.all_but_payloads(), self._keys.producer, *payloads)
            pipe.zrem(RUNS_KEY, self.run)
            pipe.execute()

    def hold(self, holder: str) -> str:
        """Be the run's producer for the next seconds; returns who is."""
        answer = self._scripts["hold"](keys=[self._keys.producer], args=[holder, PRODUCER_SECONDS])
        return str(answer.decode())

    def holder(self) -> str | None:
        """The process that drives the run now, if any."""
        with self._redis.pipeline() as pipe:
            pipe.get(self._keys.producer)
            pipe.pttl(self._keys.producer)
            answer, left = pipe.execute()
        # More time than is ever given is left from before the server's clock was set back.
        return None if answer is None or left > 1000 * PRODUCER_SECONDS else str(answer.decode())

    def release(self, holder: str) -> None:
        """Leave the producer's place."""
        if self.holder() == holder:
            self._redis.delete(self._keys.producer)


def batched(items: Iterable[Receipt], size: int) -> Iterator[list[Receipt]]:
    """Lists of at most `size` items, in order."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
