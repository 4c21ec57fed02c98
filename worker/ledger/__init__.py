"""The worker's verbs on the ledger: claim, pass on, try, renew, finish, give back, abandon. Knows no model and no file.

The keys are documented in `schemas.ledger`. Every change is one small script, so that it happens
whole or not at all. Calls wait through a restart of Redis; only after two minutes do they fail.
"""

import secrets
from enum import StrEnum
from importlib.resources import files
from typing import Any, NamedTuple

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from schemas.errors import PayloadError
from schemas.job import Job
from schemas.ledger import LEASE_SECONDS, MAX_ATTEMPTS, MOST_REST_SECONDS, WORKERS_KEY, Heartbeat, RunKeys
from schemas.payload import MOST_PAYLOAD_BYTES
from schemas.receipt import Receipt
from schemas.transport import verified

#: A record names its source's paths, which may be thousands; nothing else of it is long.
MOST_RECORD_BYTES = 16 << 20
_PATIENCE = Retry(ExponentialBackoff(cap=2, base=0.1), retries=60)
_TRANSIENT = [redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError]


class Verdict(StrEnum):
    """The ledger's answer to a claim: go, or why not."""

    GO = "go"
    DONE = "done"
    DEAD = "dead"
    BUSY = "busy"
    HELD = "held"
    UNKNOWN = "unknown"


class Claim(NamedTuple):
    """A verdict, which attempt this is, how many leases were lost before it, and in which trials of rows."""

    verdict: Verdict
    attempt: int
    lost: int = 0
    deaths: tuple[str, ...] = ()


def connect(url: str) -> redis.Redis:
    """A client that waits out a restart of Redis."""
    return redis.Redis.from_url(
        verified(url), retry=_PATIENCE, retry_on_error=_TRANSIENT, socket_timeout=30, socket_connect_timeout=5
    )


def connect_briefly(url: str) -> redis.Redis:
    """A client that waits for nothing: for the last words of a process."""
    return redis.Redis.from_url(verified(url), retry=Retry(NoBackoff(), 0), socket_timeout=1, socket_connect_timeout=1)


class Ledger:
    """One worker's view of the ledger; safe to use from all of its threads."""

    def __init__(self, client: redis.Redis, worker: str) -> None:
        self.worker = worker
        self._redis: Any = client
        self._claim = self._script("claim")
        self._try = self._script("try")
        self._abandon = self._script("abandon")
        self._finish = self._script("finish")
        self._give_back = self._script("give_back")
        self._pass_on = self._script("pass_on")
        self._renew = self._script("renew")

    def record(self, run: str) -> bytes | None:
        """What the run is about, as JSON, or None where the ledger does not know it."""
        key = RunKeys(run).run
        if int(self._redis.hstrlen(key, "record")) > MOST_RECORD_BYTES:
            raise PayloadError(f"the record of run {run} in Redis has more than {MOST_RECORD_BYTES} bytes")
        text: bytes | None = self._redis.hget(key, "record")
        return text

    def claim(self, job: Job) -> Claim:
        """Ask for a job; only `Verdict.GO` means that it is ours to do."""
        k = RunKeys(job.run)
        keys = [k.run, k.jobs, k.sent, k.leases, *k.of_a_job()]
        # A connection that is lost on the way makes the client ask again: with the same name, for the same answer.
        name = secrets.token_hex(8)
        answer = self._claim(keys=keys, args=[job.job, self.worker, LEASE_SECONDS, MAX_ATTEMPTS, name])
        verdict, attempt, lost, deaths = [*answer, 0, b""][:4]
        return Claim(Verdict(verdict.decode()), int(attempt), int(lost), tuple(deaths.decode().split()))

    def pass_on(self, job: Job) -> None:
        """Let somebody else have a job that was fetched and not claimed, at once."""
        k = RunKeys(job.run)
        self._pass_on(keys=[k.jobs, k.sent, k.leases], args=[job.job])

    def try_rows(self, job: Job, trial: str) -> bool:
        """Say which rows are tried next; False where the lease was lost and somebody else has the job."""
        k = RunKeys(job.run)
        return bool(self._try(keys=[k.owners, k.trials], args=[job.job, self.worker, trial]))

    def payload(self, job: Job) -> bytes | None:
        """The rows of a job, or None where Redis has lost them; a `PayloadError` for more than a worker takes."""
        key = RunKeys(job.run).payload(job.job)
        size = int(self._redis.strlen(key))
        if size > MOST_PAYLOAD_BYTES:
            raise PayloadError(f"the rows of a job are {size} bytes in Redis; at most {MOST_PAYLOAD_BYTES} are fetched")
        # No more than was looked at, whatever is put there meanwhile.
        return bytes(self._redis.getrange(key, 0, size - 1)) if size else None

    def drop_payload(self, job: Job) -> None:
        """Take away what lies in the place of a job's rows, and is none."""
        self._redis.delete(RunKeys(job.run).payload(job.job))

    def renew(self, run: str, jobs: list[int]) -> int:
        """Prolong the leases of these jobs; returns how many are still ours."""
        k = RunKeys(run)
        return int(self._renew(keys=[k.leases, k.owners], args=[self.worker, LEASE_SECONDS, *jobs]))

    def finish(self, job: Job, receipt: Receipt) -> bool:
        """Record that the job's part is durable; harmless when repeated. True where the ledger learnt it from us."""
        k = RunKeys(job.run)
        keys = [k.run, k.jobs, k.sent, k.leases, k.payload(job.job), *k.of_a_job()]
        return bool(self._finish(keys=keys, args=[job.job, *_pairs(receipt.counters())]) == b"ok")

    def give_back(
        self, job: Job, cause: str, *, retry_seconds: float, attempts: int = 1, refuses: bool = False
    ) -> None:
        """Let another attempt happen after a while, and keep the cause for people.

        `attempts` 0 says that the job is not at fault, `MAX_ATTEMPTS` that there is no hope; a worker that `refuses`
        will not do it, though another may.
        """
        k = RunKeys(job.run)
        keys = [k.jobs, k.leases, k.owners, k.causes, k.attempts, k.refusals, k.trials]
        rest = min(retry_seconds, MOST_REST_SECONDS)
        self._give_back(keys=keys, args=[job.job, self.worker, cause, rest, attempts, int(refuses)])

    def obstructed(self, job: Job, cause: str) -> bool:
        """Say that the part of a job cannot be written now; False where the job is no longer ours to wait for."""
        k = RunKeys(job.run)
        with self._redis.pipeline() as pipe:
            pipe.hget(k.owners, job.job)
            pipe.hget(k.run, "state")
            pipe.hset(k.obstacles, self.worker, cause)
            owner, state, _ = pipe.execute()
        ours = owner == self.worker.encode() and state in (b"running", b"paused")
        if not ours:
            self.unobstructed(job)
        return ours

    def unobstructed(self, job: Job) -> None:
        """Take that back."""
        self._redis.hdel(RunKeys(job.run).obstacles, self.worker)

    def abandon(self, job: Job, cause: str) -> None:
        """Say that the process is about to end, perhaps through this job: its lease counts as lost, and ends now."""
        k = RunKeys(job.run)
        self._abandon(keys=[k.leases, k.owners, k.causes], args=[job.job, self.worker, cause])

    def beat(self, heartbeat: Heartbeat) -> None:
        """Say that this worker lives."""
        self._redis.hset(WORKERS_KEY, self.worker, heartbeat.model_dump_json())

    def server_time(self) -> float:
        """The Redis server's clock, seconds since the epoch."""
        seconds, microseconds = self._redis.time()
        return float(seconds) + float(microseconds) / 1e6

    def leave(self) -> None:
        """Take this worker off the list of those that live."""
        self._redis.hdel(WORKERS_KEY, self.worker)

    def _script(self, name: str) -> Any:
        return self._redis.register_script(files(__name__).joinpath(f"{name}.lua").read_text())


def _pairs(counters: dict[str, int]) -> list[str | int]:
    return [item for pair in counters.items() for item in pair]
