"""How long the jobs of a worker that crashed, or hangs, are nobody's: `python -m tests.chaos.recovery`.

Nothing else is wrong meanwhile. One line of JSON: seconds per job until another worker holds it, by what happened.
"""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import corpus
from tests.chaos.faults import Worker
from tests.chaos.watch import Holders
from tests.chaos.world import Log, Task, World

#: 64 jobs of 768 rows, 6 s each: more than are needed, and soon a place for those of a worker that was struck.
_ROWS, _SECONDS_PER_TEXT = 49_152, 6 / 768
_TIMES = 3


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="chaos-recovery-"))
    world = World(folder / "world", Log(folder / "log"), seconds_per_text=_SECONDS_PER_TEXT)
    try:
        source = corpus.write({f"doc-{at}": f"text {at}" for at in range(_ROWS)}, folder / "corpus.parquet")
        world.begin(Task("run", source, "embed"))
        holders = Holders(world.client, "run")
        holders.start()
        for at in range(2 * _TIMES):
            _wait_for(lambda: len(set(world.client.hvals("vecmill:run:run:owners"))) == 2)
            fault = Worker(number=(signal.SIGKILL, signal.SIGSTOP)[at % 2], which=at // 2)
            fault.strike(world, holders)
            _wait_for(lambda: not holders.waits)
            fault.mend(world)
        holders.stop()
        sys.stdout.write(json.dumps({kind: sorted(seconds) for kind, seconds in holders.recovered.items()}) + "\n")
    finally:
        world.stop()
    return 0


def _wait_for(what: Callable[[], bool]) -> None:
    while not what():
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
