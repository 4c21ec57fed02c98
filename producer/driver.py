"""Drives one run to the end of its jobs: feed, reconcile, watch. Knows no file format and commits nothing.

Any process that has the run's record and can read its source may do this, at any time, and take over from one that
died: what is done follows from the parts in the table, who is at work from the leases in Redis.
"""

import threading
from collections.abc import Callable, Mapping

from producer.broker import Broker
from producer.complaints import Complaints
from producer.display import Display
from producer.feeder import Feeder
from producer.jobs import JobLimits
from producer.ledger import Progress, living_workers, queued
from producer.outage import WORTH_WAITING, Outage
from producer.pace import Pace
from producer.place import Place
from producer.progress import Rates
from producer.queue import jobs_waiting
from producer.source import Rows
from schemas.errors import BrokerError, RunFailed
from schemas.receipt import Receipt
from schemas.run import RunRecord

#: So many dead jobs beside none that got done mean that nothing will.
_HOPELESS_JOBS = 3

Parts = Callable[[], Mapping[int, Receipt]]


class Driver:
    """Drives in a place that is taken. `parts` reads the receipts of the parts that exist now, by job."""

    def __init__(
        self, record: RunRecord, source: Rows, *, broker: Broker, display: Display, place: Place, parts: Parts
    ) -> None:
        self._record = record
        self._source = source
        self._broker = broker
        self._display = display
        self._parts = parts
        self._ledger = broker.ledger(record.run)
        # Who embeds a sample for a run drives that run.
        self._run = record.sample_of or record.run
        self._place = place
        self._rates = Rates(record.rows_to_embed)
        self._feeder: Feeder | None = None
        self._outage = Outage(broker, display, run=self._run)
        self._complaints = Complaints(self._ledger, display)
        self._known = -1
        self._left_seconds: float | None = None
        self._pause = threading.Event()

    def run(self) -> None:
        """Return when every job of the run has its part; raise `RunFailed` or `BrokerError` when that cannot be."""
        try:
            pace = Pace()
            while not self._tick():
                self._pause.wait(pace.rest(self._left_seconds))
        except KeyboardInterrupt:
            self._display.say("stopping: what is in flight here gets a few seconds (Ctrl-C again stops at once)")
            raise

    def _tick(self) -> bool:
        self._keep_alive()
        try:
            self._outage.check()
            self._place.keep()
            self._bury()
            workers = [beat.worker for beat in living_workers(self._broker.client)]
            progress = self._ledger.progress() if self._feeder else None
            if self._feeder is None or progress is None or self._feeder.is_outdated(progress):
                progress, self._feeder = self._attach()
            if progress.state == "running" and not progress.ended:
                self._feed(self._feeder, progress, len(workers))
            self._show(progress, workers)
        except WORTH_WAITING as error:
            self._outage.lasts(error)
            return False
        self._outage.ends()
        return self._judge(progress)

    def _attach(self) -> tuple[Progress, Feeder]:
        if self._feeder is not None:
            self._display.say("Redis has lost the run, or some of it; it is built again from the parts that exist")
        # None until all of it has worked: a Redis that goes away half-way makes the next tick begin again.
        self._feeder = None
        parts = self._parts()
        self._ledger.open(self._record)
        self._ledger.adopt(parts.values())
        feeder = Feeder(self._source, self._ledger, JobLimits(rows=self._record.job_rows), parts)
        progress = self._ledger.progress()
        if progress is None:
            raise BrokerError("Redis forgets what it was just told", way_out="check its maxmemory and who else uses it")
        return progress, feeder

    def _feed(self, feeder: Feeder, progress: Progress, workers: int) -> None:
        run, queue = self._record.run, self._broker.queue
        for job in feeder.fill(progress, workers=workers, memory_bytes=self._broker.memory_bytes):
            queue.publish(run, [job])
        expired, unclaimed = self._ledger.overdue()
        waiting = jobs_waiting(self._broker.client, run) if unclaimed else set()
        lost = [*expired, *(job for job in unclaimed if job not in waiting)]
        for job in lost:
            feeder.restore(job)
        queue.publish(run, lost, first=True)

    def _show(self, progress: Progress, workers: list[str]) -> None:
        view = self._rates.view(progress, queued=queued(self._broker.client), workers=len(workers))
        self._display.show(view)
        self._left_seconds = view.eta_seconds
        self._complaints.tell()
        if progress.done + progress.deaths > self._known and self._broker.cluster is not None:
            self._broker.cluster.progressed()
        self._known = progress.done + progress.deaths
        self._complaints.check_willing(workers, progress, run=self._run, way_out=self._retry)

    def _judge(self, progress: Progress) -> bool:
        if progress.state == "cancelled":
            raise RunFailed(f"run {self._run} was cancelled", way_out=f"vecmill resume {self._run}")
        if progress.state == "failed":
            raise RunFailed(f"run {self._run} failed: {progress.reason}", way_out=self._retry)
        if progress.dead and (progress.ended or (progress.dead >= _HOPELESS_JOBS and not progress.done)):
            raise RunFailed(self._why_dead(progress), way_out=self._retry)
        return progress.ended

    @property
    def _retry(self) -> str:
        return f"when the cause is gone: vecmill retry {self._run}"

    def _why_dead(self, progress: Progress) -> str:
        causes = self._ledger.causes()
        shown = "\n".join(f"  job {job}: {cause}" for job, cause in sorted(causes.items())[:3])
        return f"{progress.dead} job(s) of run {self._run} failed at every attempt:\n{shown or '  (no cause kept)'}"

    def _keep_alive(self) -> None:
        cluster = self._broker.cluster
        if cluster is not None:
            for news in cluster.keep_alive():
                self._display.say(news)

    def _bury(self) -> None:
        """What a dead worker of ours had in flight need not wait for its leases to run out."""
        cluster = self._broker.cluster
        if cluster is not None:
            for worker in cluster.gone():
                self._ledger.bury(worker)
                cluster.buried(worker)
