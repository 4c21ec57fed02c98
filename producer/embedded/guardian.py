"""Runs one command for as long as its parent lives: `python guardian.py GRACE_SECONDS FOLDER COMMAND...`.

Standard input is a pipe whose other end the parent holds. However the parent ends, even by kill -9, the
pipe closes, and the command is ended: TERM first, KILL after the grace time. A parent that ends the command on purpose
says so on the pipe, and holds it until the command is gone: where it lets go earlier, it is in a hurry, or has died,
and KILL comes at once. FOLDER (if not empty) is removed where the parent asks for that, or cannot do it any more. Only
the standard library, and run as a plain file, so that it starts at once and stays small.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import threading

#: What a parent says that ends the command on purpose.
END, END_AND_REMOVE = b"end", b"end and remove"
#: Of Linux's sys/prctl.h.
_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Start the command, wait for whichever ends first, and return the command's exit code."""
    grace_seconds, folder, command = float(argv[0]), argv[1], argv[2:]
    # A group of its own: a Ctrl-C at the terminal reaches the parent alone, which then decides.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_guardian)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    remove = threading.Event()
    threading.Thread(target=_end_with_parent, args=(child, grace_seconds, remove), daemon=True).start()
    code = child.wait()
    if remove.is_set() and folder:
        shutil.rmtree(folder, ignore_errors=True)
    return 128 - code if code < 0 else code


def _end_with_guardian() -> None:
    """In the child: be killed where the guardian is, by whatever kills the guardian; where the system knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_parent(child: "subprocess.Popen[bytes]", grace_seconds: float, remove: threading.Event) -> None:
    told = os.read(0, 1024)
    if told != END:
        remove.set()
    child.terminate()
    if told and select.select([0], [], [], grace_seconds)[0]:
        remove.set()
    elif not told:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
