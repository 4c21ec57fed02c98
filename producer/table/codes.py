"""From a stored vector column to numbers: codes as they are, or the float32 values that they stand for.

Knows the stores and the ranges of one version, no file.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.table.state import TableState
from schemas.errors import TableError
from schemas.store import CALIBRATED, PACKED, Codes, Ranges, Store, Vectors, values


@dataclass(frozen=True, slots=True)
class Coding:
    """What the numbers of a version's vectors mean."""

    store: Store = "float32"
    ranges: Ranges | None = None

    @classmethod
    def of(cls, state: TableState | None) -> "Coding":
        """Of a table at a version."""
        return cls() if state is None else cls(state.store, state.ranges)

    @property
    def packed(self) -> bool:
        """Whether a vector is its sign bits, eight to a number."""
        return self.store in PACKED

    @property
    def quantized(self) -> bool:
        """Whether its numbers are codes."""
        return self.packed or self.store in CALIBRATED

    def codes(self, column: pa.ChunkedArray | pa.ListArray, where: str) -> Codes:
        """The int8 or uint8 numbers of a quantized store, [rows, numbers of a stored vector]."""
        block = block_of(column, where)
        if self.store in ("int8", "binary"):
            return block.astype(np.int8, copy=False)
        return block.astype(np.uint8)

    def values(self, column: pa.ChunkedArray | pa.ListArray, where: str) -> Vectors:
        """float32 [rows, dims]; of a quantized store the middle of what each code stands for."""
        if self.store not in CALIBRATED:
            return block_of(column, where)
        if self.ranges is None:
            raise TableError(f"the ranges of the {self.store} codes in {where} are lost", way_out="read the codes")
        return values(self.codes(column, where), self.store, self.ranges)


def block_of(column: pa.ChunkedArray | pa.ListArray, where: str) -> npt.NDArray[Any]:
    """A column of equally long lists as one array that shares its memory."""
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat = lists.flatten()
    width = len(flat) // len(lists) if len(lists) else 0
    offsets = lists.offsets.to_numpy()
    if flat.null_count or lists.null_count or (np.diff(offsets) != width).any():
        raise TableError(f"{where} holds vectors that are null or of different lengths", way_out="vecmill verify")
    block: npt.NDArray[Any] = flat.to_numpy(zero_copy_only=True).reshape(len(lists), width)
    return block
