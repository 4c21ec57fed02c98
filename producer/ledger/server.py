"""What Redis holds of all runs: which there are, what waits in the queue, and who works."""

from typing import Any

import redis

from producer.ledger.reading import read
from schemas.ledger import HEARTBEAT_SECONDS, RUNS_KEY, WORKERS_KEY, Heartbeat
from schemas.transport import CELERY_SETTINGS, MALFORMED_COUNT, QUEUE


def known_runs(client: redis.Redis) -> list[str]:
    """The runs that Redis knows, oldest first."""
    raw: Any = client
    return [run.decode(errors="replace") for run in raw.zrange(RUNS_KEY, 0, -1)]


def queued(client: redis.Redis) -> int:
    """Messages that no worker has fetched yet, of all runs."""
    raw: Any = client
    return int(raw.llen(QUEUE))


def unacknowledged(client: redis.Redis) -> int:
    """Messages that workers have fetched and not finished, of all runs."""
    raw: Any = client
    return int(raw.hlen(CELERY_SETTINGS["broker_transport_options"]["unacked_key"]))


def malformed(client: redis.Redis) -> int:
    """Queue elements that were no message of ours and were put aside, ever."""
    raw: Any = client
    return int(raw.get(MALFORMED_COUNT) or 0)


def living_workers(client: redis.Redis) -> list[Heartbeat]:
    """The workers that gave a sign of life lately; the long silent ones are taken off the list."""
    raw: Any = client
    now = float(raw.time()[0])
    beats = [beat for text in raw.hvals(WORKERS_KEY) if (beat := read(Heartbeat, text)) is not None]
    gone = [beat.worker for beat in beats if beat.at < now - 20 * HEARTBEAT_SECONDS]
    if gone:
        raw.hdel(WORKERS_KEY, *gone)
    return sorted((beat for beat in beats if abs(now - beat.at) <= HEARTBEAT_SECONDS), key=lambda beat: beat.worker)
