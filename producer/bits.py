"""A set of row numbers as one bit per row. Knows nothing of what the rows are."""

from typing import Self

import numpy as np
import numpy.typing as npt


class Bits:
    """Row numbers below `size`; a billion rows take 125 MB."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = np.zeros(-(-size // 8), np.uint8)

    @classmethod
    def all(cls, size: int) -> Self:
        """Every row number."""
        bits = cls(size)
        bits._bytes[:] = 0xFF
        if size % 8:
            bits._bytes[-1] = (1 << size % 8) - 1
        return bits

    @classmethod
    def read(cls, data: bytes, size: int) -> Self:
        """A set that was kept as bytes; raises ValueError where these are not as many as it has."""
        bits = cls(size)
        if len(data) != len(bits._bytes):
            raise ValueError(f"{len(data)} bytes are no set of {size} rows")
        bits._bytes = np.frombuffer(data, np.uint8).copy()
        return bits

    def add(self, numbers: npt.NDArray[np.int64]) -> None:
        """Put some row numbers into the set, in any order."""
        np.bitwise_or.at(self._bytes, numbers >> 3, np.left_shift(1, numbers & 7).astype(np.uint8))

    def without(self, other: Self) -> Self:
        """Those that are not in another set of as many rows."""
        return self.read((self._bytes & ~other._bytes).tobytes(), self.size)

    def plus(self, other: Self) -> Self:
        """Those in either of two sets of as many rows."""
        return self.read((self._bytes | other._bytes).tobytes(), self.size)

    def among(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """Which of the rows from `first` on are in the set, counted from `first`."""
        skipped = first % 8
        some = np.unpackbits(self._bytes[first // 8 : -(-(first + count) // 8)], bitorder="little")
        return np.flatnonzero(some[skipped : skipped + count])

    def count(self) -> int:
        """How many row numbers are in the set."""
        return int(_ONES[self._bytes].sum(dtype=np.int64))

    def end(self) -> int:
        """One more than the highest row number in the set; 0 where it is empty."""
        last = np.flatnonzero(self._bytes)[-1:]
        return 0 if len(last) == 0 else int(last[0]) * 8 + int(self._bytes[last[0]]).bit_length()

    def dump(self) -> bytes:
        """The bytes that `read` takes."""
        return self._bytes.tobytes()


_ONES: npt.NDArray[np.uint8] = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)
