"""Nuclei: each pixel of the extent map goes to one seed.

Growth starts from all seeds at once and takes pixels in the order of a key: the distance to the seed that asks, in
eighths of a pixel, plus a delay where the extent map is low, and never less than the key of the pixel it came from.
On a flat extent map two nuclei meet half-way; where the map shows a valley between them, they meet in the valley, as
in a watershed. Growth goes through shared edges only, so a nucleus is one connected part that holds its seed. Keys
are whole numbers and equal keys are served first come, first served, so a nucleus depends on its surroundings only and
not on the tile it was seen in.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

STEPS_PER_PX = 8
"""Keys of the growth count eighths of a pixel."""

LABEL_BITS = 20
"""A claim on a pixel is one whole number: the key above these bits, the label in them (a million cells a tile)."""

LABEL_MASK = (1 << LABEL_BITS) - 1
FREE = (2047 << LABEL_BITS) | LABEL_MASK
"""A pixel that may be taken: a key above all others."""

MAX_REACH = 1700
"""Greatest distance in steps, so that distance and delay stay below 2047."""

OUTSIDE = 255
"""Marks pixels outside every nucleus in the map of delays."""


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
    if len(row) >= LABEL_MASK or STEPS_PER_PX * radius_px > MAX_REACH or not 0 <= STEPS_PER_PX * valley_px < OUTSIDE:
        raise ValueError("a tile holds up to a million nuclei of up to 200 px, and a valley is worth up to 31 px")
    labels = np.empty(extent.shape, np.int32)
    delay = _delays(extent, threshold, STEPS_PER_PX * valley_px, labels)
    delay[row, col] = 0
    # Nuclei of different parts of the map cannot meet. Going from part to part keeps the memory in use small.
    part = cv2.connectedComponents((delay != OUTSIDE).view(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1][row, col]
    order = np.argsort(part, kind="stable").astype(np.int32)
    ends = np.append(np.flatnonzero(np.diff(part[order])) + 1, len(order)).astype(np.int64)
    _grow(labels, delay, row, col, sub_y, sub_x, order, ends, radius_px)
    small = np.flatnonzero(_settle(labels, row, col, least_px, radius_px)).astype(np.int32)
    if len(small):
        reach = int(small_radius_px) + 2
        _replace(labels, delay, row, col, small, reach, 0, FREE)
        _grow(labels, delay, row, col, sub_y, sub_x, small, np.array([len(small)], np.int64), small_radius_px)
        _replace(labels, delay, row, col, small, reach, FREE, 0)
    return labels


@njit(nogil=True, cache=True)
def _delays(
    extent: NDArray[np.float32], threshold: float, valley: float, claims: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return the delay of each pixel in steps, ``OUTSIDE`` below the threshold; write ``FREE`` or 0 into ``claims``."""
    height, width = extent.shape
    delay = np.empty(extent.shape, np.uint8)
    least, most, one, none = np.float32(threshold), np.float32(valley), np.float32(1), np.float32(0)
    for y in range(height):
        for x in range(width):
            value = extent[y, x]
            wait = np.uint8(most * max(none, one - value))
            delay[y, x] = wait if value >= least else np.uint8(OUTSIDE)
            claims[y, x] = FREE if value >= least else 0
    return delay


@njit(nogil=True, cache=True)
def _grow(
    claims: NDArray[np.int32],
    delay: NDArray[np.uint8],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    sub_y: NDArray[np.float64],
    sub_x: NDArray[np.float64],
    seeds: NDArray[np.int32],
    ends: NDArray[np.int64],
    radius_px: float,
) -> None:
    """Let ``seeds`` take the free pixels, group after group; ``ends`` says where each group of seeds ends.

    A bucket queue. A pixel is claimed with a key, perhaps claimed again with a smaller one, and taken when the queue
    comes to it; its key is then 0 and nobody can claim it any more.
    """
    height, width = claims.shape
    square = radius_px * radius_px
    head = np.full(int(STEPS_PER_PX * radius_px) + OUTSIDE + 2, -1, np.int32)
    tail = np.empty(len(head), np.int32)
    capacity = len(seeds) + 4096
    place = np.empty((capacity, 2), np.int32)
    following = np.empty(capacity, np.int32)
    for seed in seeds:
        claims[row[seed], col[seed]] = seed + 1
    begin = 0
    for end in ends:
        used = end - begin
        for node in range(used):
            place[node, 0], place[node, 1] = row[seeds[begin + node]], col[seeds[begin + node]]
            following[node] = node + 1
        following[used - 1] = -1
        head[0], tail[0] = 0, used - 1
        begin = end
        key, last = 0, 0
        while key <= last:
            node = head[key]
            while node >= 0:
                y, x = np.int64(place[node, 0]), np.int64(place[node, 1])
                claim = claims[y, x]
                node = following[node]
                if claim >> LABEL_BITS != key:
                    continue
                label = claim & LABEL_MASK
                claims[y, x] = label
                seed_y = row[label - 1] + sub_y[label - 1]
                seed_x = col[label - 1] + sub_x[label - 1]
                if used + 4 > capacity:
                    place = np.concatenate((place, np.empty((capacity, 2), np.int32)))
                    following = np.concatenate((following, np.empty(capacity, np.int32)))
                    capacity *= 2
                for side in range(4):
                    ny = y + (side == 3) - (side == 0)
                    nx = x + (side == 2) - (side == 1)
                    if ny < 0 or nx < 0 or ny >= height or nx >= width:
                        continue
                    rival = claims[ny, nx] >> LABEL_BITS
                    if rival <= key:
                        continue
                    far = (ny - seed_y) * (ny - seed_y) + (nx - seed_x) * (nx - seed_x)
                    if far > square:
                        continue
                    wanted = max(key, 1, int(STEPS_PER_PX * np.sqrt(far)) + delay[ny, nx])
                    if wanted >= rival:
                        continue
                    claims[ny, nx] = (wanted << LABEL_BITS) | label
                    place[used, 0], place[used, 1] = ny, nx
                    following[used] = -1
                    if head[wanted] < 0:
                        head[wanted] = used
                    else:
                        following[tail[wanted]] = used
                        if node < 0 and wanted == key:
                            node = used
                    tail[wanted] = used
                    used += 1
                    last = max(last, wanted)
            head[key] = -1
            key += 1


@njit(nogil=True, cache=True)
def _settle(
    labels: NDArray[np.int32],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    least_px: float,
    radius_px: float,
) -> NDArray[np.bool_]:
    """Clear the pixels that stayed free and nuclei smaller than ``least_px``, all but their seeds; return which."""
    height, width = labels.shape
    area = np.zeros(len(row) + 1, np.int64)
    for y in range(height):
        for x in range(width):
            if labels[y, x] == FREE:
                labels[y, x] = 0
            area[labels[y, x]] += 1
    small = area[1:] < least_px
    reach = int(radius_px) + 2
    for i in np.flatnonzero(small):
        for y in range(max(row[i] - reach, 0), min(row[i] + reach + 1, height)):
            for x in range(max(col[i] - reach, 0), min(col[i] + reach + 1, width)):
                if labels[y, x] == i + 1 and not (y == row[i] and x == col[i]):
                    labels[y, x] = 0
    return small


@njit(nogil=True, cache=True)
def _replace(
    claims: NDArray[np.int32],
    delay: NDArray[np.uint8],
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    seeds: NDArray[np.int32],
    reach: int,
    old: int,
    new: int,
) -> None:
    """Replace a value around seeds, and take away the delays there."""
    height, width = claims.shape
    for i in seeds:
        for y in range(max(row[i] - reach, 0), min(row[i] + reach + 1, height)):
            for x in range(max(col[i] - reach, 0), min(col[i] + reach + 1, width)):
                if claims[y, x] == old:
                    claims[y, x] = new
                    delay[y, x] = 0
