"""Moments at which a process can be told to die: the first that comes to the one named by the switch `die` does."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _die(moment: str) -> None:
    switch = Path(os.environ["CHAOS_SWITCHES"]) / f"die {moment}"
    try:
        switch.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, name: str, *, before: str = "", after: str = "") -> None:
    """Die before or after a call of a function, where that is asked for."""
    call: Callable[..., Any] = getattr(owner, name)

    def called(*arguments: Any, **named: Any) -> Any:
        if before:
            _die(before)
        answer = call(*arguments, **named)
        if after:
            _die(after)
        return answer

    setattr(owner, name, called)


def in_a_worker() -> None:
    from schemas import durable
    from worker.ledger import Ledger

    _around(Ledger, "claim", after="claimed")
    _around(durable, "_publish", before="part written", after="part named")
    if "AWS_ENDPOINT_URL" in os.environ:
        from schemas.files import bucket

        _around(bucket.obstore, "put", before="part written", after="part named")
    _around(Ledger, "finish", before="part durable", after="finished")


def in_a_producer() -> None:
    from producer import carry_out
    from producer.ledger import Ledger
    from producer.queue import JobQueue

    _around(Ledger, "open", before="to open", after="opened")
    _around(Ledger, "adopt", after="adopted")
    _around(Ledger, "enqueue", before="to enqueue", after="enqueued")
    _around(JobQueue, "publish", after="published")
    _around(carry_out, "commit", before="to commit", after="committed")
