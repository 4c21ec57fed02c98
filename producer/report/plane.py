"""From vectors to places in a plane: the two directions in which they differ most. Knows no file and no page."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_ITERATIONS = 40
#: Directions that are followed beside the two that are wanted: with them these settle sooner.
_MORE = 6

Array = npt.NDArray[np.float64]


class Plane(NamedTuple):
    """`places` are [rows, 2]; `shares` of all variance lie along each of the two directions."""

    places: Array
    shares: tuple[float, float]


def flatten(vectors: npt.NDArray[np.float32]) -> Plane:
    """Principal components by orthogonal iteration: no matrix of dims x dims, however wide the vectors are."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    total = float((centred**2).sum())
    if total == 0.0:
        return Plane(np.zeros((len(vectors), 2)), (0.0, 0.0))
    width = min(2 + _MORE, *centred.shape)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(centred.shape[1], width)))[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    projected = centred @ basis
    # The iteration finds the space; inside it, the directions are those of a small decomposition.
    turned = projected @ np.linalg.svd(projected, full_matrices=False)[2].T
    places = np.zeros((len(vectors), 2))
    places[:, : min(2, width)] = turned[:, :2]
    # A direction has no sign of its own: the farthest point is put on the positive side.
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    first, second = ((places**2).sum(axis=0) / total).tolist()
    return Plane(places, (first, second))
