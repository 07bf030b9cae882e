"""Nuclei: each pixel of the extent map goes to one seed.

Growth starts from all seeds at once and takes pixels in the order of a key: the distance to the seed that asks, in
eighths of a pixel, plus a delay where the extent map is low, and never less than the key of the pixel it came from.
On a flat extent map two nuclei meet half-way; where the map shows a valley between them, they meet in the valley, as
in a watershed. Growth goes through shared edges only, so a nucleus is one connected part that holds its seed. Keys
are whole numbers and equal keys are served first come, first served, so a nucleus depends on its surroundings only and
not on the tile it was seen in.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

STEPS_PER_PX = 8
"""Keys of the growth count eighths of a pixel."""


def grow_nuclei(
    extent: NDArray[np.float32],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    sub_y: NDArray[np.float64],
    sub_x: NDArray[np.float64],
    *,
    threshold: float,
    radius_px: float,
    valley_px: float,
    least_px: float,
    small_radius_px: float,
) -> NDArray[np.int32]:
    """Give the pixels of the extent map to the seeds.

    Parameters
    ----------
    extent : ndarray, shape (H, W), float32
        Probability that a pixel belongs to a nucleus.
    row, col : ndarray, shape (n,), int32
        Pixels of the seeds; no two are the same.
    sub_y, sub_x : ndarray, shape (n,), float64
        Offsets of the seeds from the centres of their pixels, in pixels.
    threshold : float
        Least extent of a pixel of a nucleus.
    radius_px : float
        Greatest distance of such a pixel from its seed.
    valley_px : float
        How many pixels of distance a drop of the extent from 1 to 0 is worth when nuclei meet.
    least_px : float
        A nucleus with fewer pixels than this is replaced by a disc.
    small_radius_px : float
        Radius of that disc around its seed, less what other nuclei own.

    Returns
    -------
    ndarray, shape (H, W), int32
        0 outside nuclei, else 1 + the index of the seed. Every seed owns at least its own pixel.
    """
    extent = np.ascontiguousarray(extent, np.float32)
    labels = np.zeros(extent.shape, np.int32)
    every = np.arange(len(row), dtype=np.int32)
    _grow(extent, labels, row, col, sub_y, sub_x, every, threshold, radius_px, valley_px)
    small = np.flatnonzero(_release_small(labels, row, col, least_px, radius_px)).astype(np.int32)
    if len(small):
        _grow(extent, labels, row, col, sub_y, sub_x, small, -np.inf, small_radius_px, 0.0)
    return labels


@njit(nogil=True, cache=True)
def _grow(
    extent: NDArray[np.float32],
    labels: NDArray[np.int32],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    sub_y: NDArray[np.float64],
    sub_x: NDArray[np.float64],
    seeds: NDArray[np.int32],
    threshold: float,
    radius_px: float,
    valley_px: float,
) -> None:
    """Write the labels of ``seeds`` into the free pixels of ``labels``; a bucket queue of whole-number keys."""
    height, width = extent.shape
    square = radius_px * radius_px
    buckets = int(STEPS_PER_PX * (radius_px + valley_px)) + 2
    head = np.full(buckets, -1, np.int32)
    tail = np.full(buckets, -1, np.int32)
    capacity = 16 * len(seeds) + 1024
    place = np.empty(capacity, np.int64)
    owner = np.empty(capacity, np.int32)
    following = np.empty(capacity, np.int32)
    asked = np.full(extent.shape, 32767, np.int16)
    used = 0
    for seed in seeds:
        labels[row[seed], col[seed]] = seed + 1
    for seed in seeds:
        place[used] = row[seed] * width + col[seed]
        owner[used] = seed
        following[used] = used + 1
        used += 1
    if used:
        following[used - 1] = -1
        head[0], tail[0] = 0, used - 1
    for key in range(buckets):
        node = head[key]
        while node >= 0:
            y, x = place[node] // width, place[node] % width
            seed = owner[node]
            if labels[y, x] == 0:
                labels[y, x] = seed + 1
            if labels[y, x] == seed + 1:
                for side in range(4):
                    ny = y + (side == 3) - (side == 0)
                    nx = x + (side == 2) - (side == 1)
                    if ny < 0 or nx < 0 or ny >= height or nx >= width:
                        continue
                    if labels[ny, nx] != 0 or extent[ny, nx] < threshold:
                        continue
                    dy, dx = ny - row[seed] - sub_y[seed], nx - col[seed] - sub_x[seed]
                    far = dy * dy + dx * dx
                    if far > square:
                        continue
                    delay = valley_px * max(0.0, 1.0 - extent[ny, nx])
                    wanted = max(key, int(STEPS_PER_PX * (np.sqrt(far) + delay)))
                    if wanted >= asked[ny, nx]:
                        continue
                    asked[ny, nx] = wanted
                    if used == capacity:
                        place = np.concatenate((place, np.empty(capacity, np.int64)))
                        owner = np.concatenate((owner, np.empty(capacity, np.int32)))
                        following = np.concatenate((following, np.empty(capacity, np.int32)))
                        capacity *= 2
                    place[used] = ny * width + nx
                    owner[used] = seed
                    following[used] = -1
                    if head[wanted] < 0:
                        head[wanted] = used
                    else:
                        following[tail[wanted]] = used
                    tail[wanted] = used
                    used += 1
            node = following[node]


@njit(nogil=True, cache=True)
def _release_small(
    labels: NDArray[np.int32],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    least_px: float,
    radius_px: float,
) -> NDArray[np.bool_]:
    """Free the pixels of nuclei smaller than ``least_px``, all but their seeds, and return which these are."""
    height, width = labels.shape
    area = np.zeros(len(row) + 1, np.int64)
    for y in range(height):
        for x in range(width):
            area[labels[y, x]] += 1
    small = area[1:] < least_px
    reach = int(radius_px) + 1
    for i in np.flatnonzero(small):
        for y in range(max(row[i] - reach, 0), min(row[i] + reach + 1, height)):
            for x in range(max(col[i] - reach, 0), min(col[i] + reach + 1, width)):
                if labels[y, x] == i + 1 and not (y == row[i] and x == col[i]):
                    labels[y, x] = 0
    return small
