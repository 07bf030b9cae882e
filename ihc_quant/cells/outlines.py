"""Outlines: the border of a nucleus along the edges of its pixels.

The polygon runs around the pixels, not through their centres, so its area is the number of pixels of the nucleus
(plus any hole, which is not drawn). Corners are given only where the border turns.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.cell_table import OUTLINE_STEPS_PER_PX


def trace_outlines(
    territory: NDArray[np.int32],
    owned: NDArray[np.int32],
    start_row: NDArray[np.int32],
    start_col: NDArray[np.int32],
    centroid_y: NDArray[np.float64],
    centroid_x: NDArray[np.float64],
    origin_y: int,
    origin_x: int,
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Trace the outer outlines of nuclei, clockwise on the page.

    Parameters
    ----------
    territory : ndarray, shape (H, W), int32
        Positive labels inside nuclei.
    owned : ndarray, shape (n,), int32
        Labels to trace.
    start_row, start_col : ndarray, shape (n,), int32
        First pixel of each in reading order, within the tile.
    centroid_y, centroid_x : ndarray, shape (n,), float64
        Centroids in grid pixels.
    origin_y, origin_x : int
        Grid pixel of the tile's first pixel.

    Returns
    -------
    xy : ndarray, shape (m, 2), int16
        Corners, x and y, in eighths of a pixel from the centroid.
    start : ndarray, shape (n + 1,), int64
        Where the corners of each nucleus begin.
    """
    return _trace(territory, owned, start_row, start_col, centroid_y, centroid_x, origin_y, origin_x)


@njit(nogil=True, cache=True)
def _trace(
    territory: NDArray[np.int32],
    owned: NDArray[np.int32],
    start_row: NDArray[np.int32],
    start_col: NDArray[np.int32],
    centroid_y: NDArray[np.float64],
    centroid_x: NDArray[np.float64],
    origin_y: int,
    origin_x: int,
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Walk with the nucleus on the right hand; keep right where two of its pixels touch at a corner only."""
    height, width = territory.shape
    xy = np.empty((48 * len(owned) + 64, 2), np.int16)
    start = np.zeros(len(owned) + 1, np.int64)
    used = 0
    for i in range(len(owned)):
        label = owned[i]
        shift_y = math.floor(OUTLINE_STEPS_PER_PX * (origin_y - centroid_y[i]) + 0.5)
        shift_x = math.floor(OUTLINE_STEPS_PER_PX * (origin_x - centroid_x[i]) + 0.5)
        y, x = np.int64(start_row[i]), np.int64(start_col[i])
        dy, dx = 0, 1
        while True:
            if used == len(xy):
                xy = np.concatenate((xy, np.empty((used, 2), np.int16)))
            xy[used, 0] = OUTLINE_STEPS_PER_PX * x + shift_x
            xy[used, 1] = OUTLINE_STEPS_PER_PX * y + shift_y
            used += 1
            turned = False
            while not turned:
                y += dy
                x += dx
                # The two pixels ahead of the corner (y, x), to the right and to the left of the way.
                right_y, right_x = y + (dy + dx - 1) // 2, x + (dx - dy - 1) // 2
                left_y, left_x = y + (dy - dx - 1) // 2, x + (dx + dy - 1) // 2
                right = 0 <= right_y < height and 0 <= right_x < width and territory[right_y, right_x] == label
                left = 0 <= left_y < height and 0 <= left_x < width and territory[left_y, left_x] == label
                if not right:
                    dy, dx = dx, -dy
                    turned = True
                elif left:
                    dy, dx = -dx, dy
                    turned = True
            if y == start_row[i] and x == start_col[i]:
                break
        start[i + 1] = used
    return xy[:used].copy(), start
