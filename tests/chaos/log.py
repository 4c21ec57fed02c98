"""What happened in a chaos run, and when."""

import json
import time
from pathlib import Path
from typing import IO


class Log:
    """What happened when, a line of JSON each; the seconds are those since the beginning."""

    def __init__(self, path: Path) -> None:
        self._began = time.monotonic()
        self._file: IO[str] = path.open("w", buffering=1)

    def __call__(self, what: str) -> None:
        self._file.write(json.dumps({"at": round(time.monotonic() - self._began, 2), "what": what}) + "\n")
