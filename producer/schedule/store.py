"""The schedules in Redis.

    vecmill:schedules           (hash) name -> the Schedule as JSON
    vecmill:schedule:<name>     (string) its Standing as JSON, changed only from what it was

They outlive services and, with an append-only file, Redis; nothing else has them.
"""

from collections.abc import Callable
from typing import Any

import redis
from pydantic import ValidationError

from producer.schedule.record import Schedule, Standing
from schemas.errors import UsageError

SCHEDULES_KEY = "vecmill:schedules"


class ScheduleStore:
    """All schedules of one Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def now(self) -> float:
        """The server's time, so that hosts may disagree about theirs."""
        seconds, microseconds = self._redis.time()
        return float(seconds) + float(microseconds) / 1e6

    def add(self, schedule: Schedule, *, now: float) -> bool:
        """Keep a schedule; False where the same is there already, a `UsageError` where its name means another."""
        name, text = schedule.name, schedule.model_dump_json()
        # Before the schedule itself: one without a standing would have no beginning.
        self._redis.set(_key(name), Standing(done_until=int(now)).model_dump_json(), nx=True)
        if self._redis.hsetnx(SCHEDULES_KEY, name, text):
            return True
        if self.get(name) != schedule:
            raise UsageError(f"there is another schedule {name!r}", way_out=f"vecmill schedule remove {name}")
        return False

    def remove(self, name: str) -> bool:
        """Forget a schedule; False where there was none."""
        with self._redis.pipeline() as pipe:
            pipe.hdel(SCHEDULES_KEY, name)
            pipe.delete(_key(name))
            return bool(pipe.execute()[0])

    def get(self, name: str) -> Schedule | None:
        """The schedule of this name."""
        text = self._redis.hget(SCHEDULES_KEY, name)
        try:
            return None if text is None else Schedule.model_validate_json(text)
        except ValidationError as error:
            raise UsageError(
                f"the schedule {name!r} cannot be read: another version of Vecmill wrote it",
                way_out=f"vecmill schedule remove {name}, and add it again",
            ) from error

    def names(self) -> list[str]:
        """Those of all schedules, sorted."""
        return sorted(name.decode(errors="replace") for name in self._redis.hkeys(SCHEDULES_KEY))

    def standing(self, name: str) -> Standing | None:
        """Where a schedule stands; None where it was removed."""
        return _read(self._redis.get(_key(name)))

    def change(self, name: str, to: Callable[[Standing], Standing | None]) -> bool:
        """Make one standing of another, whoever else tries at the same time; False where there is nothing to change."""

        def attempt(pipe: Any) -> bool:
            standing = _read(pipe.get(_key(name)))
            changed = None if standing is None else to(standing)
            pipe.multi()
            if changed is not None:
                pipe.set(_key(name), changed.model_dump_json())
            return changed is not None

        return bool(self._redis.transaction(attempt, _key(name), value_from_callable=True))


def _key(name: str) -> str:
    return f"vecmill:schedule:{name}"


def _read(text: bytes | None) -> Standing | None:
    try:
        return None if text is None else Standing.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(
            "where a schedule stands cannot be read: another version of Vecmill wrote it",
            way_out="vecmill schedule remove NAME, and add it again",
        ) from error
