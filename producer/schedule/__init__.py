"""Runs that begin by the clock. Knows cron, Redis and how a run is begun; carries none out."""

from producer.schedule.fire import Due, Scheduler
from producer.schedule.listing import Listed, listed, next_tick
from producer.schedule.outcome import Outcome, outcome
from producer.schedule.record import Overlap, Schedule, Standing, run_id
from producer.schedule.store import ScheduleStore

__all__ = [
    "Due",
    "Listed",
    "Outcome",
    "Overlap",
    "Schedule",
    "ScheduleStore",
    "Scheduler",
    "Standing",
    "listed",
    "next_tick",
    "outcome",
    "run_id",
]
