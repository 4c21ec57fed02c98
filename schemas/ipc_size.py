"""How many bytes an Arrow IPC stream would take when it is unpacked, read off its own headers. Unpacks nothing.

Each compressed buffer of a record batch begins with the size that a reader makes room for, and pyarrow makes it without
asking. Where those sizes stand is in the batch's header, a flatbuffer that pyarrow checks but does not show, so the
four of its fields that are needed are read here (format/Message.fbs of Arrow's specification).
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

#: Of `Message` the header; of `RecordBatch` its buffers and its compression. Numbers of fields never change.
_HEADER, _BUFFERS, _COMPRESSION = 2, 2, 3
#: A stream of ours has two messages, and headers of some hundred bytes for each column.
_MOST_MESSAGES, _MOST_HEADER_BYTES = 64, 4 << 20


def unpacked_bytes(stream: pa.Buffer) -> int:
    """The size of all buffers together; raises ValueError where it is no stream of plain record batches."""
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(stream))
    total = 0
    for number, message in enumerate(_messages(reader)):
        if message.type != ("record batch" if number else "schema"):
            raise ValueError(f"message {number} is a {message.type}")
        if number >= _MOST_MESSAGES or message.metadata.size > _MOST_HEADER_BYTES:
            raise ValueError("more messages or larger headers than any job has")
        total += _batch_bytes(message) if number else 0
    return total


def _messages(reader: pa.ipc.MessageReader) -> Iterator[pa.ipc.Message]:
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _batch_bytes(message: pa.ipc.Message) -> int:
    head, body = memoryview(message.metadata), memoryview(message.body)
    try:
        batch = _inner(head, _u32(head, 0), _HEADER)
        if batch is None or _inner(head, batch, _COMPRESSION) is None:
            return len(body)
        buffers = _inner(head, batch, _BUFFERS)
        if buffers is None:
            return 0
        places = struct.iter_unpack("<qq", head[buffers + 4 : buffers + 4 + 16 * _u32(head, buffers)])
        return sum(_buffer_bytes(body, offset, length) for offset, length in places)
    except struct.error as cause:
        raise ValueError("a header that leads out of itself") from cause


def _buffer_bytes(body: memoryview, offset: int, length: int) -> int:
    if length == 0:
        return 0
    (size,) = struct.unpack_from("<q", body, offset)
    if size < -1 or offset < 0:
        raise ValueError("a buffer of less than nothing")
    return length if size == -1 else size


def _inner(head: memoryview, table: int, field: int) -> int | None:
    """Where a table or vector that is a field of a table begins; None where the field is not there."""
    fields = table - struct.unpack_from("<i", head, table)[0]
    at = 4 + 2 * field
    if at >= struct.unpack_from("<H", head, fields)[0]:
        return None
    (offset,) = struct.unpack_from("<H", head, fields + at)
    place = table + offset
    return place + _u32(head, place) if offset else None


def _u32(head: memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", head, at)[0])
