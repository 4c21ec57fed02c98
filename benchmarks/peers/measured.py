"""Runs a command and writes what all its processes took: CPU seconds, wall seconds, peak memory. Linux only.

    python -m benchmarks.peers.measured REPORT.json SECONDS COMMAND...

Processes that the command leaves behind are adopted, so that their CPU time counts too, and ended. Memory is the sum
over the processes, each page once (PSS), looked at twice a second. A command that outlasts SECONDS is ended; its code
is then 124.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.5
#: What a daemon that was told to end may take.
_GRACE_SECONDS = 5.0
TIMED_OUT = 124


def main(report: str, seconds: str, *command: str) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None and time.monotonic() - began < float(seconds):
        peak = max(peak, memory())
        wait(process)
    code = TIMED_OUT if process.returncode is None else process.returncode
    spent = time.monotonic() - began
    end_all(0.0 if code == TIMED_OUT else _GRACE_SECONDS)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {"code": code, "cpu_seconds": usage.ru_utime + usage.ru_stime, "seconds": spent, "peak_bytes": peak}
    Path(report).write_text(json.dumps(found))
    return code


def wait(process: "subprocess.Popen[bytes]") -> None:
    """Until it ends, or for the time between two looks."""
    try:
        process.wait(_LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return


def memory() -> int:
    """Bytes that all processes below this one hold now."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # It has just ended.
    return total


def end_all(grace_seconds: float) -> None:
    """Wait for the processes that are left, then end them: only those that are waited for are counted."""
    left = psutil.Process().children(recursive=True)
    psutil.wait_procs(left, grace_seconds)
    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        reap()


def reap() -> None:
    """Wait for every child, adopted ones as well."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
