"""Rings: the pixels around a nucleus that stand for its membrane and cytoplasm."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


def add_rings(labels: NDArray[np.int32], ring_px: float) -> NDArray[np.int32]:
    """Give the free pixels near nuclei to the nearest nucleus.

    Parameters
    ----------
    labels : ndarray, shape (H, W), int32
        0 outside nuclei, else the label of a nucleus.
    ring_px : float
        Greatest distance of a ring's pixel from the nearest pixel of its nucleus, centre to centre, in pixels.

    Returns
    -------
    ndarray, shape (H, W), int32
        The labels, and in the rings the label of the nearest nucleus with a minus sign. At equal distance the smaller
        label has the pixel.
    """
    reach = int(ring_px)
    away = np.arange(-reach, reach + 1)
    dy, dx = (offsets.ravel() for offsets in np.meshgrid(away, away, indexing="ij"))
    square = dy * dy + dx * dx
    near = (square > 0) & (square <= ring_px * ring_px)
    return _spread(labels, dy[near], dx[near], square[near])


@njit(nogil=True, cache=True)
def _spread(
    labels: NDArray[np.int32], dy: NDArray[np.int64], dx: NDArray[np.int64], square: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Let every boundary pixel of a nucleus claim the free pixels around it; the nearest claim wins."""
    height, width = labels.shape
    territory = labels.copy()
    distance = np.full(labels.shape, 32767, np.int16)
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label == 0:
                continue
            if not (
                (y > 0 and labels[y - 1, x] == 0)
                or (y + 1 < height and labels[y + 1, x] == 0)
                or (x > 0 and labels[y, x - 1] == 0)
                or (x + 1 < width and labels[y, x + 1] == 0)
            ):
                continue
            for k in range(len(dy)):
                ny, nx = y + dy[k], x + dx[k]
                if ny < 0 or nx < 0 or ny >= height or nx >= width or labels[ny, nx] != 0:
                    continue
                if square[k] < distance[ny, nx] or (square[k] == distance[ny, nx] and -label > territory[ny, nx]):
                    distance[ny, nx] = square[k]
                    territory[ny, nx] = -label
    return territory
