"""What happens to one job: claim, tokenize, encode, write, finish. Knows no Celery; torch only through the engine.

Several jobs run through here at once, each in a thread of the pool. Tokenizing and writing release
the interpreter, encoding happens on the engine's own thread, and so the three overlap.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from schemas.arrow import decode_payload
from schemas.errors import ModelError, VecmillError
from schemas.job import Job
from schemas.receipt import Receipt, StageSeconds
from worker.engine import Embedder, Engine
from worker.leases import Leases
from worker.ledger import Claim, Ledger, Verdict
from worker.models import Models
from worker.output.folder import LocalFolder
from worker.output.part import Encoded, Failure, embeddable
from worker.output.write import read_receipt, write_part
from worker.runs import Runs
from worker.settings import Refused

log = logging.getLogger(__name__)

#: How long a job rests after a failed attempt, times the attempt's number.
RETRY_SECONDS = 2.0


class PayloadLost(Exception):
    """Redis no longer holds the rows of this job; the producer will send them again."""


class _Effort(NamedTuple):
    padded_tokens: int
    seconds: StageSeconds


class Pipeline:
    """Runs jobs; one per worker process, shared by the threads of its pool.

    `end` asks the process to end: with its engine dead (a lost device, say) it can only burn attempts.
    """

    def __init__(
        self, ledger: Ledger, leases: Leases, runs: Runs, models: Models, engine: Engine, *, end: Callable[[], None]
    ) -> None:
        self._end = end
        self._ledger = ledger
        self._leases = leases
        self._runs = runs
        self._models = models
        self._engine = engine

    def run(self, job: Job) -> str:
        """Do one job, or find that it is not ours to do; returns the verdict. Never raises for a job's own fault."""
        claim = self._ledger.claim(job)
        if claim.verdict is not Verdict.GO:
            log.info("job %s/%d: %s", job.run, job.job, claim.verdict, extra={"action": "job_declined"})
            return claim.verdict
        with self._leases.hold(job):
            try:
                receipt = self._embed(job)
            except Exception as error:
                self._give_back(job, claim, error)
                return "given back"
            self._ledger.finish(job, receipt)
        log.info("job %s/%d: %d rows", job.run, job.job, receipt.rows, extra={"action": "job_done"})
        return "done"

    def _embed(self, job: Job) -> Receipt:
        claimed_at = time.time()
        record = self._runs.record(job.run)
        folder = LocalFolder(record.table)
        durable = read_receipt(folder.path(job.part))
        if durable is not None:
            return durable
        embedder = self._models.load(record.spec)
        payload = self._ledger.payload(job)
        if payload is None:
            raise PayloadLost("the rows of this job are no longer in Redis")
        rows, source = decode_payload(payload)
        encoded, outcome = self._encode(embedder, embeddable(rows)["text"].to_pylist())
        facts = embedder.describe()
        receipt = Receipt(
            run=job.run, job=job.job, fingerprint=record.spec.fingerprint, source=source, rows=0,
            claimed_at=claimed_at, durable_at=0.0, worker=self._ledger.worker,
            device=facts["device"], dtype=facts["dtype"],
            padded_tokens=outcome.padded_tokens, seconds=outcome.seconds,
        )  # fmt: skip
        return write_part(folder, rows, encoded, record=record, receipt=receipt)

    def _encode(self, embedder: Embedder, texts: list[str]) -> "tuple[Encoded, _Effort]":
        clock = time.perf_counter()
        tokens = embedder.tokens(texts)
        tokenize_seconds = time.perf_counter() - clock
        done = self._engine.submit(embedder, tokens).result()
        failures = {row: Failure("encode", reason) for row, reason in done.failures.items()}
        encoded = Encoded(done.vectors, tokens.lengths.astype(np.int32), tokens.truncated, failures)
        return encoded, _Effort(done.padded_tokens, StageSeconds(tokenize=tokenize_seconds, encode=done.seconds))

    def _give_back(self, job: Job, claim: Claim, error: Exception) -> None:
        cause = str(error) if isinstance(error, VecmillError) else f"{type(error).__name__}: {error}"
        log.warning(
            "job %s/%d, attempt %d: %s", job.run, job.job, claim.attempt, cause,
            exc_info=not isinstance(error, PayloadLost | VecmillError), extra={"action": "job_given_back"},
        )  # fmt: skip
        refused = isinstance(error, Refused | ModelError)
        self._ledger.give_back(job, cause, retry_seconds=RETRY_SECONDS * claim.attempt, refused=refused)
        if not self._engine.alive:
            self._end()
