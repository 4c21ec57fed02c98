"""From one block of numbers to an Arrow column, without a copy where it is stored as it is. Knows no file."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.arrow import vector_type
from schemas.store import Ranges, Store, Vectors, stored


def stored_column(vectors: Vectors, store: Store, ranges: Ranges | None) -> pa.ListArray:
    """Vectors already rounded as the column that the store keeps."""
    return vector_column(stored(vectors, store, ranges), store)


def vector_column(block: npt.NDArray[Any], store: Store = "float32") -> pa.ListArray:
    """The rows of the block as a column of lists that shares its memory, where its numbers are of the stored type."""
    count, width = block.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    type_ = vector_type(store)
    flat = pa.array(np.ascontiguousarray(block, dtype=type_.value_type.to_pandas_dtype()).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=type_)
