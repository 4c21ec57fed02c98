"""What both sides of the queue must agree on, as plain data: names and Celery settings."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import TypeAdapter

TASK_NAME = "vecmill.embed"
QUEUE = "vecmill:queue"
#: How the last words of a worker begin that would not start at any other time either; it ends with os.EX_CONFIG.
CANNOT_START = "the worker cannot start: "
#: What a worker ends with whose device is lost: only a new process can use it again (EX_TEMPFAIL of sysexits.h).
DEVICE_LOST = 75
#: Where queue elements that are no message of ours are put aside (newest first), and how many there ever were.
MALFORMED_QUEUE = f"{QUEUE}:malformed"
MALFORMED_COUNT = f"{QUEUE}:malformed:count"
#: So many of them are kept, each up to so many bytes; a message of ours is under 2 KiB.
MOST_MALFORMED = 256
MOST_ELEMENT_BYTES = 64 * 1024

CELERY_SETTINGS: dict[str, Any] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_default_queue": QUEUE,
    "task_create_missing_queues": False,
    # The ledger finds jobs whose worker is gone; the broker's own redelivery is a second net, so it may be slow.
    "broker_transport_options": {
        "visibility_timeout": 3600,
        "unacked_mutex_expire": 30,
        "unacked_key": "vecmill:unacked",
        "unacked_index_key": "vecmill:unacked_index",
        "unacked_mutex_key": "vecmill:unacked_mutex",
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
}


def as_list(items: Iterable[str]) -> str:
    """Some names as one variable of the environment, whatever letters they have."""
    names = list(items)
    return json.dumps(names) if names else ""


def listed(text: str) -> tuple[str, ...]:
    """The names that `as_list` put there, or a person, who separates them by commas; raises ValueError."""
    found = _LIST.validate_json(text) if text.startswith('["') else text.split(",")
    return tuple(item for item in found if item)


_LIST: TypeAdapter[list[str]] = TypeAdapter(list[str])

#: What `rediss://` means to both clients unless the address says otherwise; kombu alone would verify nothing.
_VERIFIED = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}


def verified(url: str) -> str:
    """A Redis address under which every client checks the server's certificate and its name."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return url
    return parts._replace(query=urlencode(_VERIFIED | dict(parse_qsl(parts.query)))).geturl()
