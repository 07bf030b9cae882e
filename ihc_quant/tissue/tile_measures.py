"""What quality control measures on the pixels of a tile, as means over squares of 16 network pixels.

Folds and focus show at the size of cells, which an overview of 8 µm per pixel has averaged away. The tile is read
anyhow, so it costs little to keep four numbers for each square of 8 µm.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.stain.density import White, averaged, optical_density, require_rgb

STEP_PX = 16
"""Network pixels in one square; tiles lie on multiples of it."""

FLOOR_WINDOW_PX = 5
"""Window of the floor in pixels of 2 µm: wider than a lymphocyte, so that a gap lies within."""

_FLOOR_STEP_PX = 4

FINE_PX = (1.6, 3.2)
COARSE_PX = (3.2, 6.4)
"""Standard deviations, in network pixels, of the differences of Gaussians whose energies tell focus."""

MEAN, FLOOR, FINE, COARSE = range(4)
"""Planes of the measures."""


def measure_tile(rgb: NDArray[np.uint8], white: White) -> NDArray[np.float32]:
    """Return the measures of a tile image at the network's 0.5 µm per pixel.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        Height and width are multiples of ``STEP_PX``.
    white : tuple of float
        White point.

    Returns
    -------
    ndarray, shape (H / 16, W / 16, 4), float32
        Mean density of the channels, mean of its floor (smallest within 10 µm), and energies of density (green) at
        about 1 to 2 and 2 to 3 µm.

    Raises
    ------
    ValueError
        Where the size is not a multiple of ``STEP_PX``.
    """
    require_rgb(rgb)
    height, width = rgb.shape[:2]
    if height % STEP_PX or width % STEP_PX or 0 in rgb.shape:
        raise ValueError(f"a tile's sides are multiples of {STEP_PX}, got {width} × {height}")
    size = (width // STEP_PX, height // STEP_PX)
    coarse_rgb = averaged(rgb, _FLOOR_STEP_PX)
    density = np.ascontiguousarray(optical_density(coarse_rgb, white).mean(axis=-1))
    floor = cv2.blur(cv2.erode(density, np.ones((FLOOR_WINDOW_PX, FLOOR_WINDOW_PX), np.uint8)), (3, 3))
    green = optical_density(np.repeat(rgb[..., 1:2], 3, axis=-1), (white[1],) * 3)[..., 0]
    half = cv2.GaussianBlur(np.ascontiguousarray(green), (0, 0), sigmaX=FINE_PX[0])
    # Blurred by 1.6 pixels, every second one is enough for the rest.
    half = cv2.resize(half, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    middle = cv2.GaussianBlur(half, (0, 0), sigmaX=_more(FINE_PX[0], FINE_PX[1]) / 2)
    wide = cv2.GaussianBlur(middle, (0, 0), sigmaX=_more(COARSE_PX[0], COARSE_PX[1]) / 2)
    planes = (density, floor, np.square(half - middle), np.square(middle - wide))
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes], axis=-1)


def _more(sigma: float, wanted: float) -> float:
    """Return the blur that takes one standard deviation to another."""
    return float(np.sqrt(wanted**2 - sigma**2))


@dataclass(frozen=True, slots=True, eq=False)
class MeasureRaster:
    """The measures of a whole slide, filled tile by tile.

    Attributes
    ----------
    values : ndarray, shape (H, W, 4), float16
        See ``measure_tile``; NaN where no tile was read.
    step_um : float
        Side of a square.
    """

    values: NDArray[np.float16]
    step_um: float

    @classmethod
    def empty(cls, extent: Size, pixel_um: float) -> "MeasureRaster":
        """Return a raster for a slide of ``extent`` network pixels of ``pixel_um``."""
        shape = (-(-extent.height // STEP_PX), -(-extent.width // STEP_PX), 4)
        return cls(np.full(shape, np.nan, np.float16), pixel_um * STEP_PX)

    def put(self, core: GridBox, read: GridBox, measures: NDArray[np.float32]) -> None:
        """Keep the core of a tile's measures; what reaches past the slide is dropped."""
        left, top = (core.x0 - read.x0) // STEP_PX, (core.y0 - read.y0) // STEP_PX
        x0, y0 = core.x0 // STEP_PX, core.y0 // STEP_PX
        rows = min(core.height // STEP_PX, self.values.shape[0] - y0)
        columns = min(core.width // STEP_PX, self.values.shape[1] - x0)
        # Energies are small: scaled so that float16 keeps them.
        part = measures[top : top + rows, left : left + columns] * _SCALES
        self.values[y0 : y0 + rows, x0 : x0 + columns] = part.astype(np.float16)

    def plane(self, number: int) -> NDArray[np.float32]:
        """Return one measure, float32 (H, W), NaN where unknown."""
        return np.asarray(self.values[..., number].astype(np.float32) / _SCALES[number], np.float32)


_SCALES = np.array([1, 1, 1000, 1000], np.float32)
