"""What happens to one job: claim, tokenize, encode, write, finish. Knows no Celery; torch only through the engine.

Several jobs run through here at once, each in a thread of the pool. Tokenizing and writing release
the interpreter, encoding happens on the engine's own thread, and so the three overlap. Only a job that lost
leases, and so may be what kills its workers, is alone: nobody else can be blamed, and nobody else is hurt.
"""

import logging
import os
import time

from schemas.errors import ModelError, PayloadError, VecmillError
from schemas.job import Job
from schemas.ledger import MAX_ATTEMPTS, MOST_REST_SECONDS
from schemas.payload import Payload, decode_payload
from schemas.receipt import Receipt
from schemas.run import OnTruncate, RunRecord
from worker.departure import Departure
from worker.encode import Effort, encode, encode_in_pieces
from worker.engine import Embedder, Engine
from worker.engine.panics import panics_told
from worker.entrance import Entrance
from worker.leases import Leases
from worker.ledger import Claim, Ledger, Verdict
from worker.models import Models
from worker.output.part import Encoded, embeddable
from worker.output.write import durable_receipt, write_part
from worker.patience import LeaseLost, Obstructed, Patience
from worker.runs import Runs
from worker.settings import Refused
from worker.suspects import AROUND, Hopeless, Span, check_hope, is_suspect, spans
from worker.turns import Turns

log = logging.getLogger(__name__)

#: How long a job rests after a failed attempt, times the attempt's number.
RETRY_SECONDS = 2.0


class PayloadLost(Exception):
    """Redis no longer holds the rows of this job; the producer will send them again."""


class Pipeline:
    """Runs jobs; one per worker process, shared by the threads of its pool.

    `departure` is the process's: with its engine dead (a lost device, say) it is no use, and is asked to end.
    """

    def __init__(
        self, ledger: Ledger, leases: Leases, runs: Runs, models: Models, engine: Engine, *, departure: Departure
    ) -> None:
        self._departure = departure
        self._entrance = Entrance(ledger, leases, departure)
        self._patience = Patience(ledger, leaving=departure.begun)
        self._ledger = ledger
        self._runs = runs
        self._models = models
        self._engine = engine
        self._turns = Turns()
        self._tally = leases.tally

    def run(self, job: Job) -> str:
        """Do one job, or find that it is not ours to do; returns the verdict. Never raises for a job's own fault."""
        with self._turns.together(), self._entrance.claimed(job, able=self._able()) as claim:
            if claim is None or claim.verdict is not Verdict.GO:
                return claim.verdict if claim else "passed on"
            if not is_suspect(claim.lost):
                return self._attempt(job, claim)
            log.warning("job %s/%d lost %d leases: it is tried alone", job.run, job.job, claim.lost,
                        extra=_event("job_suspect", job))  # fmt: skip
            with self._turns.alone():
                return self._attempt(job, claim)

    def _able(self) -> bool:
        """Whether the engine lives; without it, the process is no use."""
        if not self._engine.alive:
            self._departure.lose_device()
        return self._engine.alive

    def _attempt(self, job: Job, claim: Claim) -> str:
        try:
            with panics_told("a library"):
                receipt = self._embed(job, claim)
        except Exception as error:
            self._give_back(job, claim, error)
            return "given back"
        # A part that was there is another's work, or counts already.
        if self._ledger.finish(job, receipt) and receipt.worker == self._ledger.worker:
            self._tally.add(receipt)
        self._tally.count("done")
        log.info("job %s/%d: %d rows", job.run, job.job, receipt.rows, extra=_event("job_done", job))
        return "done"

    def _embed(self, job: Job, claim: Claim) -> Receipt:
        claimed_at = time.time()
        if is_suspect(claim.lost):
            check_hope(spans(claim.deaths))
            self._announce(job, AROUND)
        record = self._runs.record(job)
        path = os.path.join(record.table, job.part)
        durable = self._patience.wait_for(job, lambda: durable_receipt(path, record))
        if durable is not None:
            return durable
        embedder = self._models.load(record.spec)
        rows, source = self._rows(job, record)
        encoded, effort = self._encode(job, claim, embedder, embeddable(rows)["text"].to_pylist(), record.on_truncate)
        facts = embedder.describe()
        receipt = Receipt(
            run=job.run, job=job.job, fingerprint=record.spec.fingerprint, source=source, rows=0,
            claimed_at=claimed_at, durable_at=0.0, worker=self._ledger.worker,
            device=facts["device"], dtype=facts["dtype"],
        )  # fmt: skip
        receipt = effort.onto(receipt)
        return self._patience.wait_for(job, lambda: write_part(rows, encoded, record=record, receipt=receipt))

    def _rows(self, job: Job, record: RunRecord) -> Payload:
        try:
            payload = self._ledger.payload(job)
            if payload is None:
                raise PayloadLost("the rows of this job are no longer in Redis")
            return decode_payload(payload, most_rows=record.job_rows)
        except PayloadError:
            # As good as lost: the producer sends the rows again, from the source.
            self._ledger.drop_payload(job)
            raise

    def _encode(
        self, job: Job, claim: Claim, embedder: Embedder, texts: list[str], on_truncate: OnTruncate
    ) -> tuple[Encoded, Effort]:
        if not is_suspect(claim.lost):
            return encode(self._engine, embedder, texts, on_truncate=on_truncate)
        outcome = encode_in_pieces(
            self._engine, embedder, texts, on_truncate=on_truncate,
            deaths=spans(claim.deaths), announce=lambda span: self._announce(job, span),
        )  # fmt: skip
        self._announce(job, AROUND)
        return outcome

    def _announce(self, job: Job, span: Span) -> None:
        if not self._ledger.try_rows(job, str(span)):
            raise LeaseLost("somebody else has this job by now")

    def _give_back(self, job: Job, claim: Claim, error: Exception) -> None:
        cause = str(error) if isinstance(error, VecmillError) else f"{type(error).__name__}: {error}"
        log.warning(
            "job %s/%d, attempt %d: %s", job.run, job.job, claim.attempt, cause,
            exc_info=not isinstance(error, PayloadLost | LeaseLost | Obstructed | VecmillError),
            extra=_event("job_given_back", job),
        )  # fmt: skip
        self._tally.count("given_back")
        if not self._engine.alive:
            # The device is gone, through this job or another: as if the process had died, which it now does.
            self._ledger.abandon(job, cause)
            self._departure.lose_device()
            return
        refuses = isinstance(error, Refused | ModelError)
        blameless = refuses or isinstance(error, Obstructed | LeaseLost)
        counts = MAX_ATTEMPTS if isinstance(error, Hopeless) else 0 if blameless else 1
        rest = MOST_REST_SECONDS / 2 if isinstance(error, Obstructed) else RETRY_SECONDS * claim.attempt
        self._ledger.give_back(job, cause, retry_seconds=rest, attempts=counts, refuses=refuses)


def _event(action: str, job: Job) -> dict[str, object]:
    """What a log record says beside its words."""
    return {"action": action, "run": job.run, "job": job.job}
