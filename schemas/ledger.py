"""The keys of the ledger in Redis, documented once; the verbs live with the side that speaks them.

Per run, under `vecmill:run:<run>`:

    (hash)      record: the RunRecord as JSON; state: running, paused, cancelled, failed or committed;
                reason: why it failed; enqueued: jobs cut so far (0..enqueued-1 exist); jobs: how many
                there are in all, set once the source is read; counters: done, dead, rows, tokens,
                failed, truncated; deaths: leases that were lost while their job was alone in its worker
    :jobs       (string) one byte per job: E enqueued, L leased, D done, X dead
    :sent       (sorted set) job -> when it was last published and not yet claimed, server time
    :leases     (sorted set) job -> when its lease runs out; a job given back waits here until its retry time
    :owners     (hash) job -> the worker that holds its lease
    :claims     (hash) job -> the claim that got it the lease: asked once more, the answer is the same
    :attempts   (hash) job -> how many attempts raised an error; this and the next three only while it is in flight
    :losses     (hash) job -> how many leases were lost: their workers died, whatever killed them
    :trials     (hash) job -> which of its rows are being tried now, by a worker that does nothing else: "begin:end",
                of its embeddable rows; "0:0" while it is at none of them (loading, reading, writing)
    :deaths     (hash) job -> the trials that ended with a lost lease, each followed by a space
    :causes     (hash) job -> why its last attempt failed; kept for a dead job
    :payload:<job>  (string) the job's rows, an Arrow IPC stream; deleted when the job is done
    :obstacles  (hash) worker -> why it cannot write a part now; it waits with the vectors in hand
    :refusals   (hash) worker -> why it does not take part: its settings forbid it, or its model files differ
    :producer   (string) who drives the run; expires when that process is gone

Beside the runs: `vecmill:runs` (sorted set, run -> start time) and `vecmill:workers` (hash, worker ->
its last heartbeat as JSON); schedules have theirs in `producer.schedule.store`. All times are the Redis
server's, so hosts may disagree about theirs.
"""

from schemas.record import Record

ENQUEUED, LEASED, DONE, DEAD = "E", "L", "D", "X"

RUNS_KEY = "vecmill:runs"
WORKERS_KEY = "vecmill:workers"

#: A worker that dies is missed after this many seconds; it renews three times in that span.
LEASE_SECONDS = 20
#: No lease and no rest before another attempt is longer: a time that is further away was noted by a wrong clock.
MOST_REST_SECONDS = 60
#: A job is dead after so many attempts that raised an error. Leases that were lost do not count.
MAX_ATTEMPTS = 5
#: A job that lost so many leases is suspect: its next attempts are made alone, and its rows tried in pieces.
SUSPECT_LOSSES = 2
#: What a worker has to finish its jobs once it is told to end: less than the 10 seconds that containers get.
GRACE_SECONDS = 8
#: A heartbeat older than this belongs to a worker that is gone.
HEARTBEAT_SECONDS = 15


class RunKeys:
    """The Redis keys of one run."""

    def __init__(self, run: str) -> None:
        self.run = f"vecmill:run:{run}"
        self.jobs = f"{self.run}:jobs"
        self.sent = f"{self.run}:sent"
        self.leases = f"{self.run}:leases"
        self.owners = f"{self.run}:owners"
        self.claims = f"{self.run}:claims"
        self.attempts = f"{self.run}:attempts"
        self.causes = f"{self.run}:causes"
        self.losses = f"{self.run}:losses"
        self.trials = f"{self.run}:trials"
        self.deaths = f"{self.run}:deaths"
        self.obstacles = f"{self.run}:obstacles"
        self.refusals = f"{self.run}:refusals"
        self.producer = f"{self.run}:producer"

    def payload(self, job: int) -> str:
        """Where the rows of one job lie."""
        return f"{self.run}:payload:{job}"

    def all_but_payloads(self) -> list[str]:
        """Every key of the run that outlives its jobs."""
        return [self.run, self.jobs, self.sent, self.leases, *self.of_a_job(), *self.of_workers()]

    def of_workers(self) -> list[str]:
        """The hashes that say something of the workers, as they were told to this producer."""
        return [self.refusals, self.obstacles]

    def of_a_job(self) -> list[str]:
        """The hashes that say something of a job for as long as it has not ended."""
        return [self.owners, *self.of_its_attempts(), self.claims]

    def of_its_attempts(self) -> list[str]:
        """Those of them that say how earlier attempts went."""
        return [self.attempts, self.causes, self.losses, self.trials, self.deaths]


class Heartbeat(Record):
    """What a worker says of itself every few seconds; `rows` and `tokens` are those it has embedded since it began."""

    worker: str
    at: float
    device: str
    in_flight: int
    models: tuple[str, ...] = ()
    rows: int = 0
    tokens: int = 0
