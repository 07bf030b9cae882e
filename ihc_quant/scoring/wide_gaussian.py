"""Sums under a wide Gaussian kernel, at a cost that does not grow with its width."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

REACH_SPREADS = 3.0
"""Where the kernel ends, in standard deviations."""

NARROWEST_PX = 0.3
"""A narrower kernel lies within one pixel."""

SPREAD_PX = 6
"""A wider kernel is applied to pixels put together until it is about this wide. Sums then differ from the exact ones by
less than half a per cent of the greatest."""


def gaussian_sums(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return the values smoothed by a Gaussian kernel; beyond the picture everything is 0.

    Parameters
    ----------
    values : ndarray, shape (H, W), float32
    sigma_px : float
        Standard deviation.

    Returns
    -------
    ndarray, shape (H, W), float32
    """
    if sigma_px < NARROWEST_PX:
        return values
    block = max(1, int(sigma_px / SPREAD_PX)) // 2 * 2 + 1  # odd, so that a box has a middle
    if block == 1:
        return _blurred(values, sigma_px)
    height, width = values.shape
    # A block of nothing all around, as enlarging repeats the outermost blocks.
    rows, columns = 2 + math.ceil(height / block), 2 + math.ceil(width / block)
    padded = np.zeros((rows * block, columns * block), np.float32)
    inner = slice(block, block + height), slice(block, block + width)
    padded[inner] = values
    # A running mean before the means over blocks: else a cell would move to the middle of its block.
    running = cv2.blur(padded, (block, block), borderType=cv2.BORDER_CONSTANT)
    blocks = np.asarray(cv2.resize(running, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    # All of this widens the kernel by itself, by the variances of two boxes and, for lines between means, a triangle.
    widened = (block**2 - 1) * (2 / 12 + 1 / 6)
    smooth = _blurred(blocks, math.sqrt(sigma_px**2 - widened) / block)
    enlarged = cv2.resize(smooth, padded.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(enlarged[inner], np.float32)


def _blurred(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    size = 2 * math.ceil(REACH_SPREADS * sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(values, (size, size), sigma_px, borderType=cv2.BORDER_CONSTANT), np.float32)
