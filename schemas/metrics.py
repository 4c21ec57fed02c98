"""What is measured while work goes on: names, kinds and meanings of all metrics, for both sides and the dashboard.

Plain data. Prometheus's rules: `vecmill_` before all of them, base units, `_total` behind what only grows.
"""

from typing import Literal, NamedTuple

#: Metrics name tables and models, so they are for this machine unless told otherwise.
LOOPBACK = "127.0.0.1"


class Metric(NamedTuple):
    """One metric; `labels` tell its samples apart."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    labels: tuple[str, ...] = ()


#: Of a worker: what it has done since it began, by the names that the sums over its receipts have.
OF_RECEIPTS = {
    "rows": Metric("vecmill_rows_total", "counter", "Rows that got a vector."),
    "failed": Metric("vecmill_failed_rows_total", "counter", "Rows that failed; they are in _errors of their table."),
    "truncated": Metric("vecmill_truncated_rows_total", "counter", "Rows whose text was longer than the model reads."),
    "duplicates": Metric("vecmill_duplicate_texts_total", "counter", "Texts that shared an encoding in their job."),
    "tokens": Metric("vecmill_tokens_total", "counter", "Tokens of the rows that got a vector."),
    "encoded_tokens": Metric("vecmill_encoded_tokens_total", "counter", "Tokens that went through the model."),
    "padded_tokens": Metric("vecmill_padded_tokens_total", "counter", "Tokens that were computed, padding included."),
    "batches": Metric("vecmill_batches_total", "counter", "Forward passes; vecmill_padded_tokens_total over it: size."),
}
STAGE_SECONDS = Metric(
    "vecmill_stage_seconds_total", "counter", "Seconds of jobs in each stage: tokenize, encode, write.", ("stage",)
)
JOBS = Metric("vecmill_jobs_total", "counter", "Jobs that ended here: done, given_back or declined.", ("outcome",))
IN_FLIGHT = Metric("vecmill_jobs_in_flight", "gauge", "Jobs whose lease this worker holds.")
MODELS = Metric("vecmill_models_loaded", "gauge", "Models on the device.")
MODEL = Metric("vecmill_model_info", "gauge", "1 for each model on the device.", ("model",))
WORKER = Metric("vecmill_worker_info", "gauge", "1; which worker this is, and its device.", ("worker", "device"))
OF_WORKER = (*OF_RECEIPTS.values(), STAGE_SECONDS, JOBS, IN_FLIGHT, MODELS, MODEL, WORKER)

#: Of `vecmill serve`: what all of its Redis is doing.
REDIS_UP = Metric("vecmill_redis_up", "gauge", "1 where Redis answers; without it, the others are not there.")
QUEUED = Metric("vecmill_queue_messages", "gauge", "Messages that no worker has fetched yet.")
UNACKED = Metric("vecmill_unacknowledged_messages", "gauge", "Messages that workers have fetched and not finished.")
MALFORMED = Metric("vecmill_malformed_messages_total", "counter", "Queue elements put aside: no message of ours.")
WORKERS = Metric("vecmill_workers", "gauge", "Workers that gave a sign of life lately, by device.", ("device",))
LEASES = Metric("vecmill_leases", "gauge", "Jobs of running and paused runs that workers hold.")
RUNS = Metric("vecmill_runs", "gauge", "Runs that Redis knows, by state.", ("state",))
#: Of each run that runs or is paused, by the names that `RunMoment` has for them.
OF_RUNS = {
    "rows": Metric("vecmill_run_rows", "gauge", "Rows that the run has to embed.", ("run",)),
    "rows_done": Metric("vecmill_run_rows_done", "gauge", "Rows of it that have a vector or have failed.", ("run",)),
    "failed": Metric("vecmill_run_failed_rows", "gauge", "Rows of it that have failed.", ("run",)),
    "leased": Metric("vecmill_run_leases", "gauge", "Jobs of it that workers hold.", ("run",)),
    "jobs_done": Metric("vecmill_run_jobs_done", "gauge", "Jobs of it whose part is durable.", ("run",)),
    "jobs_dead": Metric("vecmill_run_jobs_dead", "gauge", "Jobs of it that failed at every attempt.", ("run",)),
    "driven": Metric("vecmill_run_driven", "gauge", "1 where a process drives it, 0 where none does.", ("run",)),
}
RUN = Metric("vecmill_run_info", "gauge", "1; where the run writes, and with which model.", ("run", "table", "model"))
OF_SERVICE = (REDIS_UP, QUEUED, UNACKED, MALFORMED, WORKERS, LEASES, RUNS, *OF_RUNS.values(), RUN)
