"""The bytes of a file of lines, unpacked as they are read. Knows compressions and byte order marks, no format."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pyarrow as pa

from producer.source.bytes import in_order
from producer.source.file import SourceFile
from schemas.errors import SourceError

_BUFFER_BYTES = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened(file: SourceFile) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked, past a byte order mark.

    A SourceError, also while they are read, where the file is not there, is torn, or is not UTF-8.
    """
    try:
        with _raw(file) as stream:
            head = stream.peek(len(_UTF8_MARK))
            if head.startswith(_UTF16_MARKS):
                raise SourceError(f"{file.path} is UTF-16, not UTF-8", way_out="iconv -f UTF-16 -t UTF-8")
            if head.startswith(_UTF8_MARK):
                stream.read(len(_UTF8_MARK))
            yield stream
    except OSError as error:
        raise _unreadable(file, error) from error


def _raw(file: SourceFile) -> io.BufferedReader:
    return in_order(file) if file.compression is None else io.BufferedReader(_unpacking(file), _BUFFER_BYTES)


def _unpacking(file: SourceFile) -> pa.NativeFile:
    packed = file.path if file.stored is None else in_order(file)
    return pa.input_stream(packed, compression=file.compression, buffer_size=_BUFFER_BYTES)


def _unreadable(file: SourceFile, error: OSError) -> SourceError:
    if file.compression is None or error.errno:
        return SourceError(f"cannot read {file.path}: {error.strerror or error}")
    return SourceError(
        f"{file.path} line {_torn_line(file)} cannot be unpacked as {file.compression}: {error}",
        way_out="fetch or pack the file again; nothing was enqueued",
    )


def _torn_line(file: SourceFile) -> int:
    """The line in which unpacking fails: found by reading again, in ever smaller steps."""
    good_bytes, lines = 0, 1
    for step_bytes in _BUFFER_BYTES, 1 << 10, 1:
        with _unpacking(file) as stream, suppress(OSError):
            for skipped in _pieces(good_bytes, _BUFFER_BYTES):
                stream.read(skipped)
            while piece := stream.read(step_bytes):
                good_bytes, lines = good_bytes + len(piece), lines + piece.count(b"\n")
    return lines


def _pieces(size: int, largest: int) -> Iterator[int]:
    yield from [largest] * (size // largest)
    yield size % largest
