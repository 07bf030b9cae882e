"""Seeds: the local maxima of the centre map, one a cell.

Heights are whole numbers (1/65535 of the map, smoothed in fixed-point arithmetic), so that the same map gives the same
peaks in every tile: no sum depends on where a vector loop happened to start. Equal heights are settled by place, upper
row first, then left column, which is the same order in every tile too.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

UNITS = 65535
"""Height of a map of ones."""
KERNEL_REACH = 2.5
"""The smoothing kernel ends at so many standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Peaks of a tile, ordered by row, then column.

    Attributes
    ----------
    row, col : ndarray, shape (n,), int32
        Pixel of the peak within the tile.
    sub_y, sub_x : ndarray, shape (n,), float64
        Offset of the fitted maximum from the centre of that pixel, −0.5 to 0.5 px.
    height : ndarray, shape (n,), float32
        Value of the smoothed map at the peak, 0 to 1.
    """

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    sub_y: NDArray[np.float64]
    sub_x: NDArray[np.float64]
    height: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.row)

    def chosen(self, kept: NDArray[np.bool_]) -> "Peaks":
        """Return the peaks that are kept, in their order."""
        return Peaks(self.row[kept], self.col[kept], self.sub_y[kept], self.sub_x[kept], self.height[kept])


def find_peaks(centre: NDArray[np.float32], threshold: float, distance_px: float, smoothing_px: float) -> Peaks:
    """Find the local maxima of the centre map.

    A peak is greater than its eight neighbours (equal ones settled by place) and at least ``threshold``. Peaks are
    then taken from the highest down, and each takes away the lower ones nearer than ``distance_px``.

    Parameters
    ----------
    centre : ndarray, shape (H, W), float32
        The network's centre map, 0 to 1.
    threshold : float
        Least height after smoothing, 0 to 1. Smoothing by as much as a peak is wide halves it.
    distance_px : float
        Least distance between two peaks, in pixels.
    smoothing_px : float
        Standard deviation of the Gaussian the map is smoothed with, in pixels; 0 for none.

    Returns
    -------
    Peaks
    """
    if not threshold > 0:
        raise ValueError(f"the threshold of the centre map is positive, got {threshold}")
    smooth = _smooth(centre, smoothing_px)
    row, col = _maxima(smooth, max(1, int(np.ceil(threshold * UNITS))))
    height = smooth[row, col]
    rank = np.lexsort((col, row, -height)).astype(np.int64)
    kept = np.flatnonzero(_far_apart(row, col, rank, smooth.shape[0], smooth.shape[1], distance_px))
    row, col, height = row[kept], col[kept], height[kept]
    sub_y, sub_x = _fit(smooth, row, col)
    return Peaks(row, col, sub_y, sub_x, (height / UNITS).astype(np.float32))


def _smooth(centre: NDArray[np.float32], smoothing_px: float) -> NDArray[np.int32]:
    """Return the map in whole numbers, smoothed.

    OpenCV smooths 16-bit images in fixed-point arithmetic, so that a pixel's value depends on its surroundings only.
    """
    units = _whole(np.ascontiguousarray(centre, np.float32))
    if smoothing_px > 0:
        taps = 2 * int(np.ceil(KERNEL_REACH * smoothing_px)) + 1
        units = np.asarray(
            cv2.GaussianBlur(units, (taps, taps), smoothing_px, borderType=cv2.BORDER_REPLICATE), np.uint16
        )
    return units.astype(np.int32)


@njit(nogil=True, cache=True)
def mean_around(
    values: NDArray[np.float32], row: NDArray[np.int32], col: NDArray[np.int32], radius_px: float
) -> NDArray[np.float32]:
    """Return the mean of a map over the disc around each pixel, what lies outside the map left out.

    The sum runs over the disc row by row whatever the tile, so that the same surroundings give the same mean.

    Parameters
    ----------
    values : ndarray, shape (H, W), float32
    row, col : ndarray, shape (n,), int32
        Centres of the discs.
    radius_px : float
        A pixel belongs to the disc if its centre lies this near.

    Returns
    -------
    ndarray, shape (n,), float32
    """
    height, width = values.shape
    reach = int(radius_px)
    means = np.empty(len(row), np.float32)
    for index in range(len(row)):
        total, count = 0.0, 0
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                y, x = row[index] + dy, col[index] + dx
                if dy * dy + dx * dx <= radius_px * radius_px and 0 <= y < height and 0 <= x < width:
                    total += values[y, x]
                    count += 1
        means[index] = total / count
    return means


@njit(nogil=True, cache=True)
def _whole(centre: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the map, clipped to 0 to 1, in units of 1/65535."""
    height, width = centre.shape
    units = np.empty((height, width), np.uint16)
    for y in range(height):
        for x in range(width):
            value = min(max(centre[y, x], np.float32(0)), np.float32(1))
            units[y, x] = np.uint16(value * np.float32(UNITS) + np.float32(0.5))
    return units


@njit(nogil=True, cache=True)
def _maxima(smooth: NDArray[np.int32], least: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return rows and columns of the local maxima; of equal neighbours the upper, then the left one is the maximum."""
    height, width = smooth.shape
    rows = np.empty(1024, np.int32)
    cols = np.empty(1024, np.int32)
    n = 0
    for y in range(height):
        for x in range(width):
            value = smooth[y, x]
            if value < least:
                continue
            highest = True
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if (dy == 0 and dx == 0) or not (0 <= y + dy < height and 0 <= x + dx < width):
                        continue
                    other = smooth[y + dy, x + dx]
                    earlier = dy < 0 or (dy == 0 and dx < 0)
                    if other > value or (earlier and other == value):
                        highest = False
                        break
                if not highest:
                    break
            if highest:
                if n == len(rows):
                    rows = np.concatenate((rows, np.empty(n, np.int32)))
                    cols = np.concatenate((cols, np.empty(n, np.int32)))
                rows[n] = y
                cols[n] = x
                n += 1
    return rows[:n].copy(), cols[:n].copy()


@njit(nogil=True, cache=True)
def _far_apart(
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    rank: NDArray[np.int64],
    height: int,
    width: int,
    distance_px: float,
) -> NDArray[np.bool_]:
    """Return which peaks stand after each, in the order of ``rank``, took away the later ones that lie too near."""
    kept = np.zeros(len(row), np.bool_)
    step = max(1, int(np.ceil(distance_px)))
    down, across = height // step + 1, width // step + 1
    first = np.full((down, across), -1, np.int32)
    following = np.full(len(row), -1, np.int32)
    for i in rank:
        cy, cx = row[i] // step, col[i] // step
        free = True
        for by in range(max(cy - 1, 0), min(cy + 2, down)):
            for bx in range(max(cx - 1, 0), min(cx + 2, across)):
                j = first[by, bx]
                while j >= 0 and free:
                    dy, dx = row[i] - row[j], col[i] - col[j]
                    free = dy * dy + dx * dx >= distance_px * distance_px
                    j = following[j]
        if free:
            kept[i] = True
            following[i] = first[cy, cx]
            first[cy, cx] = i
    return kept


@njit(nogil=True, cache=True)
def _fit(
    smooth: NDArray[np.int32], row: NDArray[np.int32], col: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the offsets of the maximum of a parabola through each peak and its neighbours, along y and along x."""
    height, width = smooth.shape
    sub_y = np.zeros(len(row))
    sub_x = np.zeros(len(row))
    for i in range(len(row)):
        y, x = row[i], col[i]
        if 0 < y < height - 1:
            bend = smooth[y - 1, x] - 2 * smooth[y, x] + smooth[y + 1, x]
            if bend < 0:
                sub_y[i] = min(max(0.5 * (smooth[y - 1, x] - smooth[y + 1, x]) / bend, -0.5), 0.5)
        if 0 < x < width - 1:
            bend = smooth[y, x - 1] - 2 * smooth[y, x] + smooth[y, x + 1]
            if bend < 0:
                sub_x[i] = min(max(0.5 * (smooth[y, x - 1] - smooth[y, x + 1]) / bend, -0.5), 0.5)
    return sub_y, sub_x
