"""Rings: the pixels around a nucleus that stand for its membrane and cytoplasm."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.cells.instances import FREE, LABEL_BITS, LABEL_MASK


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
    dy, dx = (offsets.ravel() for offsets in np.meshgrid(away, away, indexing="ij"))
    square = dy * dy + dx * dx
    near = (square > 0) & (square <= ring_px * ring_px)
    return _spread(labels, dy[near], dx[near], square[near])


@njit(nogil=True, cache=True)
def _spread(
    labels: NDArray[np.int32], dy: NDArray[np.int64], dx: NDArray[np.int64], square: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Let every boundary pixel of a nucleus claim the free pixels around it; the nearest claim wins.

    A claim is the squared distance above the label's bits, so that the least claim is the nearest, then the smallest.
    """
    height, width = labels.shape
    claims = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            claims[y, x] = FREE if labels[y, x] == 0 else 0
    reach = dy.max() if len(dy) else 0
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
            if reach <= y < height - reach and reach <= x < width - reach:
                for k in range(len(dy)):
                    claim = np.int32((square[k] << LABEL_BITS) | label)
                    if claim < claims[y + dy[k], x + dx[k]]:
                        claims[y + dy[k], x + dx[k]] = claim
                continue
            for k in range(len(dy)):
                ny, nx = y + dy[k], x + dx[k]
                if 0 <= ny < height and 0 <= nx < width:
                    claims[ny, nx] = min(claims[ny, nx], np.int32((square[k] << LABEL_BITS) | label))
    for y in range(height):
        for x in range(width):
            claim = claims[y, x]
            claims[y, x] = labels[y, x] if claim == 0 else (0 if claim == FREE else -(claim & LABEL_MASK))
    return claims
