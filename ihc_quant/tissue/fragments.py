"""Holes filled, specks dropped, fragments numbered: the connected pieces of a tissue mask."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_FRAGMENTS = 32_767
"""Fragment numbers are int16; the smallest fragments beyond this are dropped."""


def fill_holes(mask: NDArray[np.bool_], max_px: float) -> NDArray[np.bool_]:
    """Return the mask with holes of up to ``max_px`` pixels filled.

    A hole is a piece of background that tissue encloses. Background that reaches the border of the image is not a hole,
    because it may go on beyond.

    Parameters
    ----------
    mask : ndarray, shape (H, W), bool
    max_px : float
        Largest hole to fill, in pixels.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    inside = (left > 0) & (top > 0)
    inside &= (left + stats[:, cv2.CC_STAT_WIDTH] < width) & (top + stats[:, cv2.CC_STAT_HEIGHT] < height)
    fill = inside & (stats[:, cv2.CC_STAT_AREA] <= max_px)
    fill[0] = False
    return np.asarray(mask | fill[labels], np.bool_)


def number_fragments(mask: NDArray[np.bool_], gap_px: float, min_px: float) -> NDArray[np.int16]:
    """Return the fragments of a mask, numbered from 1 in reading order.

    Parameters
    ----------
    mask : ndarray, shape (H, W), bool
    gap_px : float
        Pieces up to this far apart, in pixels, belong to one fragment.
    min_px : float
        Fragments with fewer tissue pixels are dropped.

    Returns
    -------
    ndarray, shape (H, W), int16
        0 where there is no tissue.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.int16)
    # Two pixels d apart (centre to centre) leave a gap of d − 1; both halos together bridge it.
    near = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    count, labels = cv2.connectedComponents((near <= max(gap_px + 1, 1.5) / 2).astype(np.uint8), connectivity=8)
    del near
    labels[~mask] = 0
    pixels = count_pixels(np.asarray(labels, np.int32), count)
    kept = [label for label in range(1, count) if pixels[label] >= max(min_px, 1)]
    kept = sorted(sorted(kept, key=lambda label: -int(pixels[label]))[:MAX_FRAGMENTS])
    number = np.zeros(count, np.int16)
    for position, label in enumerate(_reading_order(np.asarray(labels, np.int32), kept), start=1):
        number[label] = position
    return np.asarray(number[labels], np.int16)


def count_pixels(labels: NDArray[np.int32] | NDArray[np.int16], count: int) -> NDArray[np.int64]:
    """Return how many pixels carry each label.

    Row by row, as NumPy counts in numbers of eight bytes, which on a whole glass are much more than the labels.

    Parameters
    ----------
    labels : ndarray, shape (H, W), int32 or int16
        Not negative.
    count : int
        One more than the highest label.
    """
    pixels = np.zeros(count, np.int64)
    for rows in np.array_split(labels, max(1, labels.size >> 20)):
        pixels += np.bincount(rows.ravel(), minlength=count)
    return pixels


def _reading_order(labels: NDArray[np.int32], kept: list[int]) -> list[int]:
    """Return labels row by row from the top, each row from the left.

    A fragment belongs to the row of the topmost one left over where its middle lies above that one's lower edge.
    """
    places = ndimage.find_objects(labels)
    boxes: dict[int, tuple[int, int, int]] = {}
    for label in kept:
        rows, columns = places[label - 1]
        boxes[label] = (rows.start, rows.stop, columns.start)
    waiting = sorted(kept, key=lambda label: (boxes[label][0], boxes[label][2]))
    ordered: list[int] = []
    while waiting:
        lower = boxes[waiting[0]][1]
        row = [label for label in waiting if (boxes[label][0] + boxes[label][1]) / 2 < lower]
        ordered += sorted(row, key=lambda label: (boxes[label][2], boxes[label][0]))
        chosen = set(row)
        waiting = [label for label in waiting if label not in chosen]
    return ordered
