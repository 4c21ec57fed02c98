"""Celery's Redis transport, with one repair: a restart of Redis does not end the worker.

With celery and kombu 5.7.0, a Redis that goes away while a task is unacknowledged and a fetch is pending
makes `Channel.close()` raise half-way, and the worker exits with an "Unrecoverable error". Here the dead
read is dropped and the close goes on. Lost or repeated messages need no repair: the ledger sees to them.
"""

from queue import Empty
from typing import Any

from kombu.transport import redis as stock


class Channel(stock.Channel):
    """A channel whose close survives a dead socket."""

    _in_poll: Any

    def close(self) -> None:
        """Close, whatever state the pending fetch is in."""
        if self._in_poll:
            try:
                self._brpop_read()
            except Empty:
                pass
            except self.connection_errors:
                self._in_poll = None
        super().close()


class Transport(stock.Transport):
    """The stock Redis transport with the channel above."""

    Channel = Channel
