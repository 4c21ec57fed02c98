"""From one float32 block to an Arrow column, without a copy where it is stored as it is. Knows no file."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.arrow import VECTOR_TYPE
from schemas.run import Store

Vectors = npt.NDArray[np.float32]


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


def vector_column(vectors: Vectors) -> pa.ListArray:
    """The rows of the block as a column of lists that shares its memory."""
    count, width = vectors.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=VECTOR_TYPE)
