"""One guarded child process with its log file."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from producer.embedded import guardian


class GuardedProcess:
    """A command that cannot outlive this process; its output goes to a log file.

    `grace_seconds` is how long it has between being asked to end and being killed. It runs in the log's
    folder: Celery imports from where it runs, and the user's folder may hold a `worker.py` of its own. `private` is a
    folder to remove when this process is killed and cannot do it.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str], grace_seconds: float,
        private: Path | None = None,
    ) -> None:  # fmt: skip
        self.log = log
        self._grace_seconds = grace_seconds
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", guardian.__file__, str(grace_seconds), str(private or ""), *command],
                stdin=subprocess.PIPE, stdout=output, stderr=output, env=dict(env), cwd=log.parent,
                start_new_session=True,
            )  # fmt: skip

    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def ask_to_end(self, *, remove: bool = False) -> None:
        """Say so on the pipe: the command gets TERM, and KILL after the grace time; with `remove`, `private` goes."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(guardian.END_AND_REMOVE if remove else guardian.END)
                self._process.stdin.flush()

    def hurry(self) -> None:
        """Let go of the pipe, behind `ask_to_end`: KILL comes at once."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def wait(self) -> None:
        """Wait until it has ended; call `ask_to_end` before. The pipe is held until then: a Ctrl-C here hurries it."""
        try:
            self._process.wait(self._grace_seconds + 10)
        except subprocess.TimeoutExpired:
            # Its guardian hangs, and so does all that could be waited for.
            self._process.kill()
        self.hurry()

    def tail(self, lines: int = 15) -> str:
        """The end of its log, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
