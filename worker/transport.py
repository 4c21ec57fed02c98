"""Celery's Redis transport, repaired: no restart of Redis, no refusal and no malformed element ends the worker.

With celery and kombu 5.7.0, a Redis that goes away while a task is unacknowledged and a fetch is pending
makes `Channel.close()` raise half-way, and the worker exits with an "Unrecoverable error". Here the dead
read is dropped and the close goes on. An element of the queue that is no message of ours makes the stock transport
raise, too; here it is put aside. A Redis that is full, or a replica for now, refuses the notes that the stock transport
takes of messages; here that costs a message, not the worker. Lost or repeated messages need no repair: the ledger
sees to them.
"""

import hashlib
import logging
import time
from collections import deque
from queue import Empty
from typing import Any

from kombu.transport import redis as stock
from kombu.transport import virtual
from redis import ResponseError

from schemas.transport import MALFORMED_COUNT, MALFORMED_QUEUE, MOST_ELEMENT_BYTES, MOST_MALFORMED, QUEUE
from worker.message import Malformed, read_message

log = logging.getLogger(__name__)

#: How long fetching rests after Redis refused: nothing else can be done then, and each try may cost a message.
_REST_SECONDS = 1.0
#: Malformed elements that Redis has not taken yet: they outlive a channel whose connection was lost.
_unwritten: deque[bytes] = deque(maxlen=MOST_MALFORMED)


class QoS(stock.QoS):
    """The messages in hand; one that Redis does not let go now is delivered again later, and found done."""

    def ack(self, delivery_tag: str) -> None:
        """Be done with a message."""
        try:
            super().ack(delivery_tag)
        except ResponseError as error:
            log.warning("a message stays in Redis for now: %s", error, extra={"action": "ack_refused"})
            # Its place in the window is free all the same.
            virtual.QoS.ack(self, delivery_tag)


class Channel(stock.Channel):
    """A channel whose close survives a dead socket, and whose reads survive any element and any refusal."""

    QoS = QoS

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

    def _brpop_read(self, **options: Any) -> bool:
        try:
            found = self._fetched(**options)
            if _unwritten:
                self._write_aside()
            if not found:
                raise Empty
            queue, element = found[0].decode().rsplit(self.sep, 1)[0], found[1]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(self._read(queue, element), queue)
            return True
        except ResponseError as error:
            log.warning("Redis takes nothing (%s); fetching rests", error, extra={"action": "fetch_refused"})
            time.sleep(_REST_SECONDS)
            raise Empty from error
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _fetched(self, **options: Any) -> Any:
        try:
            return self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            # So that the next turn connects again.
            self.client.connection.disconnect()
            raise

    def _read(self, queue: str, element: bytes) -> Any:
        # Of the other lists, only Celery's own tools read, and only what workers answered them.
        if queue != QUEUE:
            return stock.loads(element.decode())
        try:
            return read_message(element)
        except Malformed as what:
            log.error(
                "a queue element is no message of ours (%s): %d bytes, sha256 %s; it is put aside in %s",
                what, len(element), hashlib.sha256(element).hexdigest(), MALFORMED_QUEUE,
                extra={"action": "message_malformed"},
            )  # fmt: skip
        _unwritten.append(element[:MOST_ELEMENT_BYTES])
        self._write_aside()
        raise Empty

    def _write_aside(self) -> None:
        """Put elements aside all at once; where Redis is full they wait for a better time."""
        waiting = list(_unwritten)
        try:
            with self.conn_or_acquire() as client, client.pipeline() as pipe:
                pipe.lpush(MALFORMED_QUEUE, *waiting)
                pipe.ltrim(MALFORMED_QUEUE, 0, MOST_MALFORMED - 1)
                pipe.incrby(MALFORMED_COUNT, len(waiting))
                pipe.execute()
        except ResponseError as error:
            log.warning("malformed elements not put aside yet: %s", error, extra={"action": "aside_failed"})
            return
        _unwritten.clear()


class Transport(stock.Transport):
    """The stock Redis transport with the channel above."""

    Channel = Channel
