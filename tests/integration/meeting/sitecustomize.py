"""Found by Python itself at its start: two producers meet right before their commits, each sure that it may commit."""

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

if "MEETING" in os.environ and "VECMILL_WORKER" not in os.environ:
    # The function of this name hides the module.
    commit: Any = import_module("producer.table.commit")
    _check_moves = commit.check_moves

    def _check_and_meet(*arguments: Any) -> None:
        _check_moves(*arguments)
        place = Path(os.environ["MEETING"])
        (place / str(os.getpid())).touch()
        deadline = time.monotonic() + 300
        while len(list(place.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)

    commit.check_moves = _check_and_meet
