"""A file that is read by ranges, wherever its bytes are: what is not asked for does not travel."""

import io
import os
from collections.abc import Callable

#: The bytes from one place to before another.
Fetch = Callable[[int, int], bytes]


class Ranges(io.RawIOBase):
    """So many bytes, fetched as they are read."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size = size
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To anywhere, for nothing."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """One request, for all that is asked for."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        data = self._fetch(self._at, end)
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """For a buffer around it."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
