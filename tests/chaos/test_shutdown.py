"""However a process is told to end, work is finished or handed back, and nothing of it stays behind."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from celery import Celery

from schemas.ledger import GRACE_SECONDS, RunKeys
from tests.chaos.processes import Kept, vecmill
from tests.chaos.test_obstacles import MakeWorld, assert_ends_well
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

KEYS = RunKeys("run")
FIRST = b"chaos-0:1"
#: What tidies up after the first Ctrl-C for ever.
STUBBORN = """
import threading
from producer.commands.interrupt import at_once_when_repeated
with at_once_when_repeated(lambda: print("last words", flush=True)):
    try:
        print("works", flush=True)
        threading.Event().wait()
    finally:
        print("tidies up", flush=True)
        threading.Event().wait()
"""


def test_a_container_leaves_time_for_the_grace_time() -> None:
    assert GRACE_SECONDS + 2 <= 10, "docker stop kills after 10 seconds, and handing back takes a moment"


@pytest.mark.parametrize(
    ("signals", "grace_seconds", "code"),
    [([signal.SIGTERM], "0.5", 0), ([signal.SIGINT, signal.SIGINT], "100000", 130), ([], "0.5", 0)],
    ids=["the grace time ends", "a second Ctrl-C", "celery control shutdown"],
)
def test_what_a_worker_cannot_finish_is_handed_back(
    make_world: MakeWorld, signals: list[int], grace_seconds: str, code: int
) -> None:
    world = make_world("embed", VECMILL_GRACE_SECONDS=grace_seconds)
    worker = world.workers[0]
    wait_until(lambda: FIRST in world.client.hvals(KEYS.owners), log=worker.log)
    held = [int(job) for job, owner in world.client.hgetall(KEYS.owners).items() if owner == FIRST]
    if not signals:
        wait_until(lambda: "ready." in worker.log.read_text(), log=worker.log)
        app = Celery(broker=world.url)
        app.control.shutdown()
        app.close()
    for number in signals:
        assert worker.signal(number)
        wait_until(lambda: "Warm shutdown" in worker.log.read_text(), log=worker.log)
    wait_until(lambda: worker.codes, log=worker.log)
    assert worker.codes == [code], worker.log.read_text()
    assert all(f"job run/{job} is handed back" in worker.log.read_text() for job in held)
    assert FIRST not in world.client.hvals(KEYS.owners)
    assert not any(world.client.exists(key) for key in (KEYS.attempts, KEYS.losses))
    assert_ends_well(world)


def test_vecmill_worker_leaves_no_folder_and_reads_no_module_of_the_current_one(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world("embed")
    here = tmp_path / "here"
    here.mkdir()
    (here / "worker.py").write_text("raise RuntimeError('somebody else')\n")

    def once(kept: Kept) -> list[str] | None:
        return None if kept.codes else vecmill("worker", "--allow-root", world.place.root, "--device", "cpu")

    env = world.env | {"VECMILL_BROKER_URL": world.url, "VECMILL_WORKER": "typed"}
    before = set((world.folder / "tmp").iterdir())
    typed = Kept("typed", once, env=lambda _: env, folder=here, note=world.note)
    wait_until(lambda: "ready" in typed.log.read_text(), log=typed.log)
    assert typed.signal(signal.SIGTERM)
    wait_until(typed.done.is_set, log=typed.log)
    assert typed.codes == [0], typed.log.read_text()
    assert set((world.folder / "tmp").iterdir()) <= before


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM], -15), ([signal.SIGKILL], -9)],
    ids=["a second Ctrl-C", "TERM", "kill -9"],
)
def test_an_embedded_run_leaves_no_process_and_no_password(
    make_world: MakeWorld, signals: list[int], code: int
) -> None:
    world = make_world("embedded", seconds_per_text=0.2 / 256)
    (driver,) = world.drivers
    driver.once()
    wait_until(lambda: world.parts() >= 1, log=driver.log)
    assert driver.pid is not None
    children = psutil.Process(driver.pid).children(recursive=True)
    (private,) = (world.folder / "tmp").glob("vecmill-*")
    assert (private / "redis.conf").exists()
    assert driver.signal(signals[0])
    for number in signals[1:]:
        wait_until(lambda: "stopping" in driver.log.read_text(), log=driver.log)
        assert driver.signal(number)
    wait_until(lambda: driver.codes, log=driver.log)
    assert driver.codes == [code], driver.log.read_text()
    assert "Traceback" not in driver.log.read_text()
    assert not psutil.wait_procs(children, timeout=60)[1]
    wait_until(lambda: not private.exists())


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as stubborn:
        said = stubborn.stdout
        assert said is not None
        for word in ("works\n", "tidies up\n"):
            assert said.readline() == word
            stubborn.send_signal(signal.SIGINT)
        assert said.readline() == "last words\n"
        assert stubborn.wait(timeout=100) == 130
