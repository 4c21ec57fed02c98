"""How vectors are kept: the numbers of each store, and the way from float32 to them and back.

The arithmetic is that of sentence-transformers' `quantize_embeddings`. Its int8 and uint8 need the least and the
greatest value of each dimension; here these are always given, so a code depends on its own vector only.
"""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from schemas.record import Record

Store = Literal["float32", "bfloat16", "float16", "int8", "uint8", "binary", "ubinary"]
#: Stores whose numbers are buckets between a least and a greatest value.
CALIBRATED = ("int8", "uint8")
#: Stores that keep the sign of each number only, eight to a byte.
PACKED = ("binary", "ubinary")

Vectors = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8] | npt.NDArray[np.uint8]

_TOP = 255


class Ranges(Record):
    """The least and the greatest value of each dimension; fixed for a table, so that its codes can be compared."""

    least: tuple[float, ...]
    greatest: tuple[float, ...]

    @classmethod
    def of(cls, vectors: Vectors) -> Self:
        """What these vectors span."""
        return cls(least=_short(vectors.min(axis=0)), greatest=_short(vectors.max(axis=0)))

    def array(self) -> Vectors:
        """float32 [2, dims], as sentence-transformers takes it."""
        return np.array([self.least, self.greatest], np.float32)


def _short(values: Vectors) -> tuple[float, ...]:
    """The shortest decimals that are these float32 numbers again: half as long as those of a float64."""
    return tuple(float(str(value)) for value in values.astype(np.float32))


def width(store: Store, dims: int) -> int:
    """How many numbers a stored vector has."""
    return -(-dims // 8) if store in PACKED else dims


def stored(vectors: Vectors, store: Store, ranges: Ranges | None) -> Vectors | Codes:
    """The numbers that a store keeps of some vectors: rounded, or codes."""
    return codes(vectors, store, ranges) if store in CALIBRATED + PACKED else rounded(vectors, store)


def not_finite(vectors: Vectors) -> npt.NDArray[np.intp]:
    """Which rows have NaN or infinity. One product tells where none has, which is nearly always."""
    flat = vectors.reshape(-1)
    if np.isfinite(np.dot(flat, flat)):
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(~np.isfinite(vectors).all(axis=1))


def rounded(vectors: Vectors, store: Store) -> Vectors:
    """The nearest values that the stored precision has; still float32, so every reader can read them."""
    if store == "float16":
        with np.errstate(over="ignore"):
            return vectors.astype(np.float16).astype(np.float32)
    return _bfloat16(vectors) if store == "bfloat16" else vectors


def _bfloat16(vectors: Vectors) -> Vectors:
    """To the nearest, ties to even, as a processor does it; what is not finite stays as it is."""
    bits = np.ascontiguousarray(vectors).view(np.uint32)
    nearest = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(vectors), nearest.view(np.float32), vectors)


def codes(vectors: Vectors, store: Store, ranges: Ranges | None) -> Codes:
    """The int8 or uint8 numbers of a quantized store."""
    if store in PACKED:
        bits = np.packbits(vectors > 0, axis=-1)
        return bits if store == "ubinary" else _signed(bits)
    if ranges is None:
        raise ValueError(f"store {store} needs the ranges of its table")
    least, greatest = ranges.array()
    step = (greatest - least) / np.float32(_TOP)
    step = np.where(step == 0, np.float32(1), step)
    buckets = np.clip(np.floor((vectors - least) / step), 0, _TOP).astype(np.uint8)
    return buckets if store == "uint8" else _signed(buckets)


def values(codes: Codes, store: Store, ranges: Ranges) -> Vectors:
    """The middle of each bucket, at most the greatest value: off by half a step for what lies within the ranges."""
    buckets = (codes if store == "uint8" else unsigned(codes)).astype(np.float32)
    least, greatest = ranges.array()
    middle: Vectors = least + (buckets + np.float32(0.5)) * ((greatest - least) / np.float32(_TOP))
    nearest: Vectors = np.minimum(middle, greatest)
    return nearest


def unsigned(stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """int8 codes as the bytes that they were made of."""
    return (stored.astype(np.int16) + 128).astype(np.uint8)


def _signed(stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    return (stored.astype(np.int16) - 128).astype(np.int8)


def packed(stored: Codes, store: Store) -> npt.NDArray[np.uint8]:
    """The sign bits of a packed store as plain bytes, the first dimension the highest bit."""
    return unsigned(stored) if store == "binary" else stored.astype(np.uint8)


def hamming(bits: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """In how many bits each row differs from `other`."""
    counts: npt.NDArray[np.int64] = _ONES[bits ^ other].sum(axis=-1, dtype=np.int64)
    return counts


_ONES: npt.NDArray[np.uint8] = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)
