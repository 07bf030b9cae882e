"""The whole slide at a coarse grid, read in blocks so that memory does not grow with the slide."""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import choose_sampling, read_grid

OVERVIEW_PX = 2048
"""Longer side of an overview unless the caller wants another."""

BLOCK_LEVEL_PX = 1 << 23
"""Level pixels that are read at once, about 24 MB of RGB."""


def read_overview(
    reader: SlideReader, longest_px: int = OVERVIEW_PX, *, pixel_um: float | None = None
) -> tuple[NDArray[np.uint8], Grid]:
    """Return the whole slide at a coarse grid, and that grid.

    Parameters
    ----------
    reader : SlideReader
        The open slide.
    longest_px : int
        Upper limit of the picture's longer side. The picture is never finer than level 0.
    pixel_um : float or None
        Size of a grid pixel in µm instead.

    Returns
    -------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB; ``(W, H)`` is ``grid.extent(info.size)``.
    grid : Grid

    Raises
    ------
    CalibrationMissing
        Where the slide's µm per pixel are unknown.
    RegionUnreadable
        Where pixels cannot be decoded.
    """
    if longest_px < 1:
        raise ValueError(f"an overview has at least one pixel, got {longest_px}")
    info = reader.info
    mpp = info.require_mpp()
    if pixel_um is None:
        pixel_um = max(info.size.width * mpp.x / longest_px, info.size.height * mpp.y / longest_px, mpp.coarser)
    grid = Grid(pixel_um, mpp)
    extent = grid.extent(info.size)
    sampling = choose_sampling(info, grid)
    columns = int(min(extent.width, max(1, 4096 // sampling.step_x)))
    rows = int(min(extent.height, max(1, BLOCK_LEVEL_PX / (columns * sampling.step_x) // sampling.step_y)))
    rgb = np.empty((extent.height, extent.width, 3), np.uint8)
    for y0 in range(0, extent.height, rows):
        for x0 in range(0, extent.width, columns):
            box = GridBox(x0, y0, min(x0 + columns, extent.width), min(y0 + rows, extent.height))
            rgb[box.y0 : box.y1, box.x0 : box.x1] = read_grid(reader, grid, box)
    return rgb, grid
