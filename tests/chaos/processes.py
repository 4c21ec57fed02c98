"""The processes of a chaos run, each started again when it ends, as a service manager would."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What `--run-id` again may not cure, and a person would type after reading the message.
RETRY = "vecmill retry"


def environment(folder: Path, *, seconds_per_text: float) -> dict[str, str]:
    """What every process of the run is started with: the fake engine, and where its switches are."""
    path = [str(ROOT / "tests" / "chaos" / "fake"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **{name: value for name, value in os.environ.items() if name != "VECMILL_BROKER_URL"},
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "CHAOS_SWITCHES": str(folder / "switches"),
        "CHAOS_SECONDS_PER_TEXT": str(seconds_per_text),
        "XDG_STATE_HOME": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
        "COLUMNS": "200",
    }


class Kept:
    """One process that is started again whenever it ends, until it is done; `note` hears of every end.

    `command` gives the next command line from the log of the last start; None means: it is done.
    """

    def __init__(
        self, name: str, command: Callable[["Kept"], list[str] | None], *, env: Callable[["Kept"], dict[str, str]],
        folder: Path, note: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.starts = 0
        self.codes: list[int] = []
        self.log = folder / f"{name}.log"
        self.log.touch()
        self.done = threading.Event()
        self._command, self._env, self._note, self._folder = command, env, note, folder
        self._said_from = 0
        self._leaving = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def signal(self, number: int) -> bool:
        """Send a signal to the process alone; False where there is none now."""
        pid = self.pid
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def said(self) -> str:
        """What it wrote since its last start."""
        return self.log.read_bytes()[self._said_from :].decode(errors="replace")

    def once(self) -> None:
        """Do not start it again."""
        self._leaving = True

    def stop(self) -> None:
        """End it for good."""
        self._leaving = True
        for number in (signal.SIGCONT, signal.SIGKILL):
            self.signal(number)
        self._thread.join()

    def _keep(self) -> None:
        while not self._leaving and (command := self._command(self)) is not None:
            self.starts += 1
            self._said_from = self.log.stat().st_size
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    command, env=self._env(self), cwd=self._folder, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                )  # fmt: skip
            code = self._process.wait()
            self.codes.append(code)
            if not self._leaving:
                self._note(f"{self.name} ended with {code}")
            if code > 0:
                time.sleep(0.5)
        self.done.set()


def vecmill(*arguments: str | Path) -> list[str]:
    """A command line of ours."""
    return [sys.executable, "-m", "producer", *map(str, arguments)]
