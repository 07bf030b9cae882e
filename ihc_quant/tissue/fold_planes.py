"""What the fold network sees of a slide: how dense each square of 4 µm is on average, at its palest and at its darkest.

A second layer fills gaps and darkens nuclei, a crowd of cells fills gaps alone. Means over 8 µm have
averaged that away.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.stain.density import White, density_table, require_rgb

FOLD_STEP_PX = 8
"""Network pixels along a square."""

DENSITY_STEP_OD = 0.008
"""Step in which densities are kept; the largest is 2.04."""

PLANES = 9
"""Mean, least and largest density of red, green and blue, in this order."""


def fold_planes(rgb: NDArray[np.uint8], white: White) -> NDArray[np.uint8]:
    """Return the planes of an image at the network's 0.5 µm per pixel.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        Height and width are multiples of ``FOLD_STEP_PX``.
    white : tuple of float
        White point.

    Returns
    -------
    ndarray, shape (H / 8, W / 8, 9), uint8
        Densities of pixels of 1 µm, in steps of ``DENSITY_STEP_OD``.

    Raises
    ------
    ValueError
        Where the size is not a multiple of ``FOLD_STEP_PX``.
    """
    require_rgb(rgb)
    height, width = rgb.shape[:2]
    if height % FOLD_STEP_PX or width % FOLD_STEP_PX or 0 in rgb.shape:
        raise ValueError(f"an image's sides are multiples of {FOLD_STEP_PX}, got {width} × {height}")
    half = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    steps = np.clip(np.rint(density_table(white) / DENSITY_STEP_OD), 0, 255).astype(np.uint8)
    density = cv2.LUT(half, np.ascontiguousarray(steps.T[np.newaxis]))
    size = (width // FOLD_STEP_PX, height // FOLD_STEP_PX)
    mean = cv2.resize(density, size, interpolation=cv2.INTER_AREA)
    square, stride = np.ones((FOLD_STEP_PX // 2,) * 2, np.uint8), FOLD_STEP_PX // 2
    least = cv2.erode(density, square, anchor=(0, 0))[::stride, ::stride]
    largest = cv2.dilate(density, square, anchor=(0, 0))[::stride, ::stride]
    return np.concatenate((mean, least, largest), axis=-1).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRaster:
    """The planes of a slide, kept for its tiles alone: glass between fragments takes no memory.

    Attributes
    ----------
    shape : tuple of int
        Squares (rows, columns) of the whole slide.
    """

    shape: tuple[int, int]
    _tiles: list[tuple[int, int, NDArray[np.uint8]]] = field(default_factory=list)

    @classmethod
    def empty(cls, extent: Size) -> "PlaneRaster":
        """Return a raster for a slide of ``extent`` network pixels."""
        return cls((-(-extent.height // FOLD_STEP_PX), -(-extent.width // FOLD_STEP_PX)))

    def put(self, core: GridBox, read: GridBox, planes: NDArray[np.uint8]) -> None:
        """Keep the core of a tile's planes; what reaches past the slide is dropped."""
        left, top = (core.x0 - read.x0) // FOLD_STEP_PX, (core.y0 - read.y0) // FOLD_STEP_PX
        y0, x0 = core.y0 // FOLD_STEP_PX, core.x0 // FOLD_STEP_PX
        rows = min(core.height // FOLD_STEP_PX, self.shape[0] - y0)
        columns = min(core.width // FOLD_STEP_PX, self.shape[1] - x0)
        self._tiles.append((y0, x0, planes[top : top + rows, left : left + columns].copy()))

    def window(self, y0: int, x0: int, side: int) -> NDArray[np.uint8] | None:
        """Return the planes of a square window, uint8 (side, side, 9), glass where no tile lies; None where all is."""
        planes, found = np.zeros((side, side, PLANES), np.uint8), False
        for tile_y0, tile_x0, tile in self._tiles:
            top, bottom = max(y0, tile_y0), min(y0 + side, tile_y0 + tile.shape[0])
            left, right = max(x0, tile_x0), min(x0 + side, tile_x0 + tile.shape[1])
            if top < bottom and left < right:
                part = tile[top - tile_y0 : bottom - tile_y0, left - tile_x0 : right - tile_x0]
                planes[top - y0 : bottom - y0, left - x0 : right - x0], found = part, True
        return planes if found else None
