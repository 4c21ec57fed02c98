"""The Redis that a run goes through: reached, checked, and spoken of without its password."""

import re
from typing import Any
from urllib.parse import urlsplit

import redis

from producer.embedded.cluster import LocalCluster
from producer.ledger import Ledger
from producer.queue import JobQueue
from schemas.errors import BrokerError
from schemas.transport import verified

#: What a Redis that is away, restarting, loading its data, full, or for now a replica answers with: worth waiting for.
OUTAGE = (
    redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, redis.OutOfMemoryError, redis.ReadOnlyError,
)  # fmt: skip
_OLDEST_VERSION = (6, 2)


class Unsafe(BrokerError):
    """Redis answers, but is set up in a way that loses jobs."""


class Broker:
    """One Redis: the ledger's client and the queue. `cluster` is the private one behind it, if it is ours."""

    def __init__(self, url: str, cluster: LocalCluster | None = None) -> None:
        self.url = url
        self.cluster = cluster
        self.client = connect(url)
        raw: Any = self.client
        #: What the server may take at most; 0 where its settings do not say.
        self.memory_bytes = int(raw.info("memory").get("maxmemory", 0))
        self.queue = JobQueue(url)

    def check(self) -> None:
        """Raise `Unsafe` where the server is too old, or evicts; it may be another one since it was last asked."""
        _check(self.client, without_password(self.url))

    def ledger(self, run: str) -> Ledger:
        """The ledger of one run."""
        return Ledger(self.client, run)

    def close(self) -> None:
        """Close the connections."""
        self.queue.close()
        self.client.close()


def connect(url: str) -> redis.Redis:
    """A client of a Redis that answers and will not lose jobs; raises `BrokerError` with what to do otherwise."""
    where = without_password(url)
    try:
        client = redis.Redis.from_url(verified(url), socket_timeout=10, socket_connect_timeout=5)
        client.ping()
        _check(client, where)
    except redis.AuthenticationError as error:
        # Its own words are of the protocol, not of passwords.
        wrong = "does not accept the password" if urlsplit(url).password else "wants a password"
        raise BrokerError(
            f"Redis at {where} {wrong}",
            way_out="export VECMILL_BROKER_URL=redis://:PASSWORD@HOST:PORT/0",
        ) from error
    except redis.RedisError as error:
        raise BrokerError(
            f"Redis at {where} cannot be used: {error}",
            way_out="check that it runs and that the address is right; without --broker (and VECMILL_BROKER_URL) a run "
            "starts its own",
        ) from error
    except ValueError:
        # What the client says may quote a piece of the password.
        raise BrokerError(
            f"{where} is no Redis address",
            way_out="redis://HOST:PORT/0; in a password, write %23, %2F, %40 and %3F for # / @ and ?",
        ) from None
    return client


def without_password(url: str) -> str:
    """The address for people and logs."""
    scheme, found, rest = url.partition("://")
    secrets, at, place = rest.rpartition("@")
    user, colon, _ = secrets.partition(":")
    # All that is before the last @ may be a password, whatever letters it has.
    place = re.sub(r"(?i)(password=)[^&]*", r"\1***", place)
    return f"{scheme}{found}{user}{':***' if colon else ''}{at}{place}"


def _check(client: redis.Redis, where: str) -> None:
    info: dict[str, str | int] = client.info()
    version = tuple(int(number) for number in str(info["redis_version"]).split(".")[:2])
    if version < _OLDEST_VERSION:
        raise Unsafe(f"Redis at {where} is version {info['redis_version']}", way_out="use Redis 6.2 or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise Unsafe(
            f"Redis at {where} evicts keys when memory is short (maxmemory-policy {policy}), which would lose jobs",
            way_out="redis-cli CONFIG SET maxmemory-policy noeviction",
        )
