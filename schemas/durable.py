"""Files on a disk that appear whole or not at all, and stay when the power goes. Knows nothing of what is in them."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def written(path: str, *, once: bool = False) -> Iterator[BinaryIO]:
    """A stream whose bytes appear under `path` when all of them are on the disk, and not at all before.

    With `once`, a `FileExistsError` at its end where `path` is there by then: that file stays.
    """
    folder, last = os.path.split(path)
    _make_folders(folder)
    temporary = os.path.join(folder, f".{last}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        (_publish if once else os.replace)(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _publish(temporary: str, path: str) -> None:
    """Give a file its name unless another has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # Some mounted disks know no second name of a file; there the later of two writers wins.
        if os.path.exists(path):
            raise FileExistsError(f"{path} is there already") from None
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def _make_folders(folder: str) -> None:
    """Make a folder and those above it, each of them flushed: a file must not be lost with its folder."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    if parent:
        _make_folders(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    _flush_folder(parent or ".")


def _flush_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
