"""What the fold network sees of a slide: densities of pixels of 1 µm.

A layer that lies on another is seen by its own texture, sharp or out of focus, in the gaps of the other one; squares of
4 µm have averaged that away.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pyarrow
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.stain.density import White, density_table
from ihc_quant.tissue.tile_measures import halved

PLANE_PX = 2
"""Network pixels along a pixel of the planes."""

SQUARE = 4
"""Pixels of the planes along a square, for which the fold network answers."""

FOLD_STEP_PX = PLANE_PX * SQUARE
"""Network pixels along a square."""

DENSITY_STEP_OD = 0.008
"""Step in which densities are kept; the largest is 2.04."""

PLANES = 3
"""Densities of red, green and blue, in this order."""

CODEC = pyarrow.Codec("zstd", compression_level=1)
"""Of tiles that wait for the last one; a tile takes a millisecond, as PNG twenty."""


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
    ndarray, shape (H / 2, W / 2, 3), uint8
        Densities of pixels of 1 µm, in steps of ``DENSITY_STEP_OD``.

    Raises
    ------
    ValueError
        Where the size is not a multiple of ``FOLD_STEP_PX``.
    """
    half = halved(rgb, FOLD_STEP_PX)
    steps = np.clip(np.rint(density_table(white) / DENSITY_STEP_OD), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(half, np.ascontiguousarray(steps.T[np.newaxis])), np.uint8)


@dataclass(frozen=True, slots=True)
class _Tile:
    """The planes of a tile's core, compressed without loss, and the squares where it lies."""

    y0: int
    x0: int
    rows: int
    columns: int
    compressed: bytes

    def planes(self) -> NDArray[np.uint8]:
        shape = self.rows * SQUARE, self.columns * SQUARE, PLANES
        size = int(np.prod(shape))
        return np.frombuffer(CODEC.decompress(self.compressed, size, asbytes=True), np.uint8).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRaster:
    """The planes of a slide, kept for its tiles alone and compressed: some 0.8 MB for a mm² of tissue.

    Attributes
    ----------
    shape : tuple of int
        Squares (rows, columns) of the whole slide.
    """

    shape: tuple[int, int]
    _tiles: list[_Tile] = field(default_factory=list)

    @classmethod
    def empty(cls, extent: Size) -> "PlaneRaster":
        """Return a raster for a slide of ``extent`` network pixels."""
        return cls((-(-extent.height // FOLD_STEP_PX), -(-extent.width // FOLD_STEP_PX)))

    def put(self, core: GridBox, read: GridBox, planes: NDArray[np.uint8]) -> None:
        """Keep the core of a tile's planes; what reaches past the slide is dropped."""
        left, top = (core.x0 - read.x0) // PLANE_PX, (core.y0 - read.y0) // PLANE_PX
        y0, x0 = core.y0 // FOLD_STEP_PX, core.x0 // FOLD_STEP_PX
        rows = min(core.height // FOLD_STEP_PX, self.shape[0] - y0)
        columns = min(core.width // FOLD_STEP_PX, self.shape[1] - x0)
        if rows > 0 and columns > 0:
            part = np.ascontiguousarray(planes[top : top + rows * SQUARE, left : left + columns * SQUARE])
            self._tiles.append(_Tile(y0, x0, rows, columns, CODEC.compress(part.tobytes(), asbytes=True)))

    def window(self, y0: int, x0: int, side: int) -> NDArray[np.uint8] | None:
        """Return the planes of a square window: glass where no tile lies, and beyond the slide its mirror image.

        A slide may end within tissue; glass there would look like an edge of it.

        Parameters
        ----------
        y0, x0 : int
            First square, which may lie outside the slide.
        side : int
            Squares along the window.

        Returns
        -------
        ndarray, shape (4 side, 4 side, 3), uint8, or None
            None where no tile lies in the window.
        """
        first, last = (max(y0, 0), max(x0, 0)), (min(y0 + side, self.shape[0]), min(x0 + side, self.shape[1]))
        if first[0] >= last[0] or first[1] >= last[1]:
            return None
        size = (last[0] - first[0]) * SQUARE, (last[1] - first[1]) * SQUARE
        planes, found = np.zeros((*size, PLANES), np.uint8), False
        for tile in self._tiles:
            top, bottom = max(first[0], tile.y0), min(last[0], tile.y0 + tile.rows)
            left, right = max(first[1], tile.x0), min(last[1], tile.x0 + tile.columns)
            if top < bottom and left < right:
                place = _pixels(top - first[0], bottom - first[0]), _pixels(left - first[1], right - first[1])
                part = _pixels(top - tile.y0, bottom - tile.y0), _pixels(left - tile.x0, right - tile.x0)
                planes[place], found = tile.planes()[part], True
        if not found:
            return None
        above, left_of = (first[0] - y0) * SQUARE, (first[1] - x0) * SQUARE
        below, right_of = (y0 + side - last[0]) * SQUARE, (x0 + side - last[1]) * SQUARE
        mirrored = cv2.copyMakeBorder(planes, above, below, left_of, right_of, cv2.BORDER_REFLECT_101)
        return np.asarray(mirrored, np.uint8)


def _pixels(first: int, last: int) -> slice:
    """Return the pixels of squares ``first`` to ``last`` - 1 along one axis."""
    return slice(first * SQUARE, last * SQUARE)
