"""Ownership: which tile keeps a cell that several tiles see.

A tile keeps the cells whose peak pixel lies in its core. Cores partition the grid and the peak is a whole pixel, found
from the pixels around it only, so neighbouring tiles agree on it and every cell is kept once. The centroid would not
do: it depends on the whole nucleus, and a difference in the last digit could move it over a seam.
"""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.tile import Tile


def in_core(tile: Tile, row: NDArray[np.int32], col: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pixels of a tile's read box lie in its core.

    Parameters
    ----------
    tile : Tile
        The tile.
    row, col : ndarray, shape (n,), int32
        Pixels, counted from the corner of the read box.
    """
    y, x = row + tile.read.y0, col + tile.read.x0
    core = tile.core
    return (y >= core.y0) & (y < core.y1) & (x >= core.x0) & (x < core.x1)
