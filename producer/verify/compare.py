"""Whether stored vectors are those that a second embedding gave, as near as their store and numbers allow.

Devices and batches round differently, so a second embedding is never the same to the last bit.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.table.codes import Coding
from schemas.store import Ranges, Store, Vectors, codes, packed, values

#: Gives the rows of a stored column that are not what was made again, and how they differ.
Compare = Callable[[pa.ChunkedArray, Vectors], Iterator[tuple[int, str]]]

#: The least cosine between a vector and its second making, by what it was computed or stored in.
_LEAST_COSINE = {"float32": 0.9999, "float16": 0.999, "bfloat16": 0.998, "int8": 0.98}
#: A sign may change where a number is so many times as near to zero as numbers differ on average.
_SIGN_DEVIATIONS = 4


def comparison(store: Store, ranges: Ranges | None, dtype: str) -> Compare:
    """What to compare vectors of a store with; `dtype` is the coarsest that they were computed or stored in."""
    coding = Coding(store, ranges)
    least = _LEAST_COSINE.get(dtype, _LEAST_COSINE["bfloat16"])
    if coding.packed:
        return lambda there, again: _signs(coding, there, again, least)
    if coding.quantized:
        return lambda there, again: _codes(coding, there, again, None if dtype == "float32" else least)
    return lambda there, again: _far(coding.values(there, "the sample"), again, least)


def _far(there: Vectors, again: Vectors, least: float) -> Iterator[tuple[int, str]]:
    for row, cosine in enumerate(_cosines(there, again)):
        if not cosine >= least:
            yield row, f"cosine {cosine:.5f} to its second embedding"


def _codes(coding: Coding, there: pa.ChunkedArray, again: Vectors, least: float | None) -> Iterator[tuple[int, str]]:
    """Codes of float32 numbers may be one off; those of half precision are compared as vectors."""
    stored = coding.codes(there, "the sample")
    made = codes(again, coding.store, coding.ranges)
    if least is not None and coding.ranges is not None:
        yield from _far(values(stored, coding.store, coding.ranges), values(made, coding.store, coding.ranges), least)
        return
    differences = np.abs(stored.astype(np.int16) - made.astype(np.int16)).max(axis=1, initial=0)
    for row in np.flatnonzero(differences > 1):
        yield int(row), f"a code is {differences[row]} off that of its second embedding"


def _signs(coding: Coding, there: pa.ChunkedArray, again: Vectors, least: float) -> Iterator[tuple[int, str]]:
    dims = again.shape[1]
    stored = np.unpackbits(packed(coding.codes(there, "the sample"), coding.store), axis=1)[:, :dims]
    lengths: npt.NDArray[np.float32] = np.linalg.norm(again, axis=1, keepdims=True)
    # Two vectors of this cosine differ by so much of their length, spread over all dimensions.
    near_zero = _SIGN_DEVIATIONS * np.sqrt(2 * (1 - least) / dims) * lengths
    wrong = ((stored > 0) != (again > 0)) & (np.abs(again) > near_zero)
    for row in np.flatnonzero(wrong.any(axis=1)):
        yield int(row), f"{wrong[row].sum()} of {dims} signs are not those of its second embedding"


def _cosines(one: Vectors, other: Vectors) -> list[float]:
    """Row by row; two zero vectors are alike."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    dots = np.einsum("nd,nd->n", one, other)
    alike = (one == other).all(axis=1)
    return [float(value) for value in np.where(lengths > 0, dots / np.where(lengths > 0, lengths, 1), alike)]
