"""Rings: the pixels around a nucleus that stand for its membrane and cytoplasm."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.cells.instances import FREE, LABEL_BITS, LABEL_MASK

VECTOR = 8
"""Claims that the processor takes at once: whole numbers of 32 bits in 256."""


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

    Raises
    ------
    ValueError
        Where the ring is wider than 45 pixels.
    """
    reach = int(ring_px)
    if reach * reach >= FREE >> LABEL_BITS:
        raise ValueError(f"a ring is up to 45 px wide, got {ring_px}")
    away = np.arange(-reach, reach + 1)
    square = away[:, None] ** 2 + away[None, :] ** 2
    near = (square > 0) & (square <= ring_px * ring_px)
    # Filled up to whole vectors, so that the processor takes the claims of a row at once.
    keys = np.full((len(away), -(-len(away) // VECTOR) * VECTOR), FREE, np.int32)
    keys[:, : len(away)][near] = square[near] << LABEL_BITS
    return _spread(labels, keys)


@njit(nogil=True, cache=True)
def _spread(labels: NDArray[np.int32], keys: NDArray[np.int32]) -> NDArray[np.int32]:
    """Let every boundary pixel of a nucleus claim the free pixels around it; the nearest claim wins.

    A claim is the squared distance above the label's bits, so that the least claim is the nearest, then the smallest.
    ``keys`` holds the distances of the pixels around, and ``FREE``, which never wins, for those that are too far.
    """
    height, width = labels.shape
    claims = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            claims[y, x] = FREE if labels[y, x] == 0 else 0
    down, across = keys.shape
    reach = down // 2
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
            left = x - reach
            if reach <= y < height - reach and 0 <= left <= width - across:
                for a in range(down):
                    row, key = claims[y - reach + a, left : left + across], keys[a]
                    for b in range(across):
                        row[b] = min(row[b], np.int32(key[b] | label))
                continue
            for a in range(max(reach - y, 0), min(height - y + reach, down)):
                for b in range(max(-left, 0), min(width - left, 2 * reach + 1)):
                    at = y - reach + a, left + b
                    claims[at] = min(claims[at], np.int32(keys[a, b] | label))
    for y in range(height):
        for x in range(width):
            claim = claims[y, x]
            claims[y, x] = labels[y, x] if claim == 0 else (0 if claim == FREE else -(claim & LABEL_MASK))
    return claims
