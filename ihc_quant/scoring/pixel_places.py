"""In which pixel of a grid each place lies, and how many lie in each."""

import numpy as np
from numpy.typing import NDArray


def pixels_at(
    x_px: NDArray[np.float64], y_px: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which places lie on a grid, and in which of its pixels those do.

    Parameters
    ----------
    x_px, y_px : ndarray, shape (n,), float64
        Pixel (row, col) covers [col, col + 1) × [row, row + 1).
    shape : tuple of int
        Height and width.

    Returns
    -------
    inside : ndarray, shape (n,), bool
    pixel : ndarray, shape (m,), int64
        Row times width plus column, of each place that lies on the grid.

    Examples
    --------
    >>> pixels_at(np.array([0.5, 2.0, -0.1]), np.array([1.9, 0.0, 0.0]), (2, 3))
    (array([ True,  True, False]), array([3, 2]))
    """
    height, width = shape
    column, row = np.floor(x_px).astype(np.int64), np.floor(y_px).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return inside, row[inside] * width + column[inside]


def count_on_grid(x_px: NDArray[np.float64], y_px: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return how many places lie in each pixel, float32 (H, W); those off the grid count nowhere."""
    height, width = shape
    _, pixel = pixels_at(x_px, y_px, shape)
    return np.bincount(pixel, minlength=height * width).reshape(shape).astype(np.float32)
