"""Publishes job messages: the producer's only contact with Celery. Knows no text and no ledger."""

import base64
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import redis
from celery import Celery
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError

from schemas.transport import CELERY_SETTINGS, QUEUE, TASK_NAME, verified


def jobs_waiting(client: redis.Redis, run: str) -> set[int]:
    """The jobs of a run whose message lies in the queue; what else lies there is left to the workers."""
    raw: Any = client
    found = set()
    for element in raw.lrange(QUEUE, 0, -1):
        # Whatever bytes can provoke: too deep, too large, of another shape.
        with suppress(Exception):
            _, named, _ = json.loads(base64.b64decode(json.loads(element)["body"]))
            if named["run"] == run:
                found.add(int(named["job"]))
    return found


class QueueUnreachable(Exception):
    """Messages could not be sent; the ledger counts them as sent, and the reconciler will send them again."""


class JobQueue:
    """The queue of job names in Redis."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("vecmill-producer", broker=verified(broker_url), set_as_current=False)
        self._app.conf.update(CELERY_SETTINGS, task_queues=[KombuQueue(QUEUE, routing_key=QUEUE)])

    def publish(self, run: str, jobs: Iterable[int], *, first: bool = False) -> None:
        """Send one message per job. A message that is sent twice does no harm: claims tell them apart.

        With `first` they come before all that waits: who lost a worker shall not wait for a whole window as well.
        """
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                for job in jobs:
                    self._app.send_task(
                        TASK_NAME, kwargs={"run": run, "job": job}, producer=producer, retry=False,
                        argsrepr="", kwargsrepr="",
                    )  # fmt: skip
                    if first:
                        # Workers take from the right. Where somebody else has sent meanwhile, theirs is first.
                        producer.channel.client.lmove(QUEUE, QUEUE, "LEFT", "RIGHT")
        except OperationalError as error:
            raise QueueUnreachable(str(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
