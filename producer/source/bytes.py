"""The bytes of a file of a source, from a disk or a store. Knows no format and no compression."""

import io
import os

import pyarrow as pa

from producer.source.file import SourceFile

#: What is asked of a disk, and of a store, whose answer is long on its way, at once.
_DISK_BYTES, _STORE_BYTES = 1 << 20, 8 << 20


def in_order(file: SourceFile) -> io.BufferedReader:
    """To read from its beginning on."""
    return io.BufferedReader(_raw(file), buffer_bytes(file))


def anywhere(file: SourceFile) -> pa.NativeFile:
    """To read anywhere in; what lies on a disk is mapped into memory."""
    return pa.memory_map(file.path) if file.stored is None else pa.PythonFile(_raw(file), mode="r")


def buffer_bytes(file: SourceFile) -> int:
    """How much of it is best read at once."""
    return _DISK_BYTES if file.stored is None else _STORE_BYTES


def facts(file: SourceFile) -> tuple[int, int | str]:
    """Its size, and what is another one when its bytes are others: the time of its last change, or its tag."""
    if file.stored is not None:
        return file.stored.size, file.stored.tag
    found = os.stat(file.path)
    return found.st_size, found.st_mtime_ns


def _raw(file: SourceFile) -> io.RawIOBase:
    if file.stored is None:
        return io.FileIO(file.path)
    from schemas.files.objects import stream_of

    return stream_of(file.stored)
