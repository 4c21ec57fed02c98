"""From an element of the queue to a message that this worker understands. Anybody may have put the element there.

An element is read strictly and built anew from the little of it that is needed: the task's id, the run and the job.
So nothing else in it reaches Celery: no other task, no callback, no date, no header of a wrong type.
"""

import base64
import json
import uuid
from typing import Any

from schemas.job import Job
from schemas.transport import MOST_ELEMENT_BYTES, QUEUE, TASK_NAME


class Malformed(Exception):
    """No message of ours; says what is wrong without a word of the content."""


def read_message(element: bytes) -> dict[str, Any]:
    """The envelope that Celery gets for an element; raises `Malformed`, and nothing else, where it is none."""
    if len(element) > MOST_ELEMENT_BYTES:
        raise Malformed("too large")
    try:
        envelope = json.loads(element.decode())
        headers, encoding = envelope["headers"], envelope["properties"]["body_encoding"]
        known = (headers["task"], envelope["content-type"], envelope["content-encoding"], encoding)
        if known != (TASK_NAME, "application/json", "utf-8", "base64") or headers.get("compression"):
            raise Malformed("another task, type or encoding")
        task = headers["id"]
        if not (isinstance(task, str) and 0 < len(task) <= 64 and task.isprintable()):
            raise Malformed("no task id")
        arguments, named, _ = json.loads(base64.b64decode(envelope["body"], validate=True))
        job = Job.model_validate(dict(zip(("run", "job"), arguments, strict=False)) | named)
    except Malformed:
        raise
    except Exception as error:  # whatever bytes can provoke: each is the element's fault, and none may end a worker
        raise Malformed(type(error).__name__) from None
    return _envelope(task, job)


def _envelope(task: str, job: Job) -> dict[str, Any]:
    body = json.dumps([[], job.model_dump(), {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py", "task": TASK_NAME, "id": task, "root_id": task, "parent_id": None, "group": None,
            "eta": None, "expires": None, "retries": 0, "timelimit": [None, None], "ignore_result": True,
            "argsrepr": "", "kwargsrepr": "",
        },
        "properties": {
            "correlation_id": task, "body_encoding": "base64", "priority": 0, "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            # Its own for each delivery: two elements with the same tag would acknowledge each other.
            "delivery_tag": str(uuid.uuid4()),
        },
    }  # fmt: skip
