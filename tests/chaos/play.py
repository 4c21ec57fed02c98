"""Plays the schedule of a seed over real processes, and holds what came of it against the oracle."""

import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from schemas.errors import BucketAway
from tests.chaos import corpus
from tests.chaos.oracle import check_folder, check_version
from tests.chaos.outcome import Outcome
from tests.chaos.schedule import Schedule, Step, in_bucket, schedule
from tests.chaos.watch import Holders, Looking, Reader
from tests.chaos.world import Log, Task, World

#: How slow the fake engine is: 1.5 s for a job, so that a run of two workers lasts longer than its faults.
SECONDS_PER_TEXT = 1.5 / 256
#: A run that has not ended so long after its last fault hangs.
_END_SECONDS = 300.0


def play(seed: int, *, keep: Path | None = None, faults: int = 6) -> Outcome:
    """Carry out all runs of a seed; what went wrong is in the outcome, and what happened when in `<keep>/log`."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-", dir=keep))
    log, outcome, began = Log(folder / "log"), Outcome(seed), time.monotonic()
    world = World(folder / "world", log, seconds_per_text=SECONDS_PER_TEXT, bucket=in_bucket(seed))
    try:
        _play(world, schedule(seed, faults=faults), outcome)
        world.stop()
        _wait(world, lambda: not world.left())
        outcome.ok = True
    except BaseException as error:
        outcome.wrong = f"{type(error).__name__}: {error}"
        log(traceback.format_exc())
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        outcome.seconds = round(time.monotonic() - began, 1)
        world.stop()
        if world.left():
            outcome.wrong += f"; left behind: {world.left()}"
        log(outcome.line())
        if outcome.ok:
            world.remove()
    return outcome


def _play(world: World, schedules: list[Schedule], outcome: Outcome) -> None:
    corpora = [corpus.first(outcome.seed), corpus.second(outcome.seed)]
    reader = Reader(world.table, corpora)
    reader.start()
    try:
        for at, one in enumerate(schedules):
            source = corpus.write(corpora[at], world.folder / f"corpus-{at}.parquet")
            _run(world, Task(f"run-{at}", source, one.driver), one, outcome, reader)
            check_version(world.table, corpora[at], at)
            outcome.leftovers = check_folder(world.table, [f"run-{number}" for number in range(at + 1)])
    finally:
        reader.stop()
        outcome.reads = reader.reads
    _raise(reader)


def _run(world: World, task: Task, plan: Schedule, outcome: Outcome, reader: Reader) -> None:
    holders = Holders(world.client, task.run)
    outcome.drivers.append(task.driver)
    world.switch("fast")
    world.note(f"{task.run}, driven by {task.driver}")
    world.begin(task)
    holders.start()
    try:
        _wait(world, lambda: _parts(world) >= 2, reader)
        for step in plan.steps:
            _strike(world, step, holders, outcome)
        world.note(f"from now on it is fast; {_parts(world)} parts are there")
        world.switch("fast", 1)
        _strike(world, plan.last, holders, outcome)
        _wait(world, world.committed, reader)
        world.note("committed")
        if task.driver != "serve":
            _wait(world, lambda: world.drivers[0].done.is_set(), reader)
        for kept in world.drivers:
            said = kept.log.read_text()
            assert "Traceback" not in said, f"{kept.name} ended without a word that a person understands"
            assert "sitecustomize" not in said, "what is to strike in a process could not be put there"
    finally:
        holders.stop()
        outcome.starts += sum(kept.starts for kept in world.drivers)
        outcome.retries += sum("vecmill retry" in kept.log.read_text() for kept in world.drivers)
        for kind, seconds in holders.recovered.items():
            outcome.recovered[kind] = max(*seconds, outcome.recovered.get(kind, 0))
            outcome.recovered_jobs[kind] = outcome.recovered_jobs.get(kind, 0) + len(seconds)
        world.stop_drivers()
    _raise(holders)


def _strike(world: World, step: Step, holders: Holders, outcome: Outcome) -> None:
    time.sleep(step.after)
    late = " (the run had ended)" if world.committed() else ""
    world.note(f"strikes: {step.fault}{late}")
    holders.disturb()
    step.fault.strike(world, holders)
    if step.meanwhile is not None:
        time.sleep(step.fault.seconds / 2)
        world.note(f"meanwhile: {step.meanwhile}{late}")
        holders.disturb()
        step.meanwhile.strike(world, holders)
    time.sleep(step.fault.seconds / (1 if step.meanwhile is None else 2))
    struck = step.fault.struck(world)
    step.fault.mend(world)
    if step.fault.seconds:
        world.note("mended" if struck else "nobody came to it")
    if not late:
        outcome.events += struck + (step.meanwhile is not None)


def _wait(world: World, what: Callable[[], bool], *looking: Looking) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while not what():
        for one in looking:
            _raise(one)
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.1)


def _parts(world: World) -> int:
    try:
        return world.parts()
    except BucketAway:
        return 0


def _raise(looking: Looking) -> None:
    for error in looking.wrong:
        raise error
