"""Runs one command for as long as its parent lives: `python guardian.py GRACE_SECONDS FOLDER COMMAND...`.

Standard input is a pipe whose other end the parent holds. However the parent ends, even by kill -9, the
pipe closes, and the command is ended: TERM first, KILL after the grace time. A parent that ends the command on purpose
says so on the pipe; where it died instead, FOLDER (if not empty) is removed, since nobody else would. Only the standard
library, and run as a plain file, so that it starts at once and stays small.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading


def main(argv: list[str]) -> int:
    """Start the command, wait for whichever ends first, and return the command's exit code."""
    grace_seconds, folder, command = float(argv[0]), argv[1], argv[2:]
    # A group of its own: a Ctrl-C at the terminal reaches the parent alone, which then decides.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    orphaned = threading.Event()
    threading.Thread(target=_end_with_parent, args=(child, grace_seconds, orphaned), daemon=True).start()
    code = child.wait()
    if orphaned.is_set() and folder:
        shutil.rmtree(folder, ignore_errors=True)
    return 128 - code if code < 0 else code


def _end_with_parent(child: "subprocess.Popen[bytes]", grace_seconds: float, orphaned: threading.Event) -> None:
    if not os.read(0, 1024):
        orphaned.set()
    child.terminate()
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
