"""Processes of a chaos run that are found by what the system says of them: children, servers, what was left behind."""

import psutil

_SERVERS = ("valkey-server", "redis-server")
_WORKER = ["-m", "celery", "-A", "worker.app"]


def workers_below(pid: int | None) -> list[int]:
    """The workers that a process started."""
    return [child.pid for child in _below(pid) if _cmdline(child)[1:5] == _WORKER]


def server_below(pid: int | None, folder: str = "") -> int | None:
    """The Redis server that a process started; `folder` is named in its command line."""
    found = [one.pid for one in _below(pid) if _name(one) in _SERVERS and folder in " ".join(_cmdline(one))]
    return found[0] if found else None


def with_variable(name: str, value: str) -> list[str]:
    """The command lines of all processes that have this in their environment."""
    return [" ".join(_cmdline(one)) for one in psutil.process_iter() if _environ(one).get(name) == value]


def _below(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True) if pid is not None else []
    except psutil.NoSuchProcess:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
