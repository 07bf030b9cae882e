"""What quality control measures on the pixels of a tile, as means and peaks over squares of 16 network pixels.

Folds and focus show at the size of cells, which an overview of 8 µm per pixel has averaged away. The tile is read
anyhow, so it costs little to keep six numbers for each square of 8 µm.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.stain.density import White, density_table, optical_density, require_rgb

STEP_PX = 16
"""Network pixels in one square; tiles lie on multiples of it."""

FLOOR_WINDOW_PX = 5
"""Window of the floor in pixels of 2 µm: wider than a lymphocyte, so that a gap lies within."""

FINE_PX = (1.6, 3.2)
COARSE_PX = (3.2, 6.4)
"""Standard deviations, in network pixels, of the differences of Gaussians whose peaks tell focus."""

DENSITY_STEP_OD = 0.004
"""Step in which mean densities are kept: a twentieth of the density below which a slide is pale."""

UNKNOWN_DENSITY = 255
"""Kept where no tile was read."""

MEAN, FLOOR, FINE, COARSE, RED, BLUE = range(6)
"""Planes of the measures."""


def halved(rgb: NDArray[np.uint8], step_px: int) -> NDArray[np.uint8]:
    """Return a tile image in pixels of 1 µm.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        At the network's 0.5 µm per pixel.
    step_px : int
        What height and width must be multiples of.

    Raises
    ------
    ValueError
        Where they are not.
    """
    require_rgb(rgb)
    height, width = rgb.shape[:2]
    if height % step_px or width % step_px or 0 in rgb.shape:
        raise ValueError(f"a tile's sides are multiples of {step_px}, got {width} × {height}")
    return np.asarray(cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)


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
    ndarray, shape (H / 16, W / 16, 6), float32
        Mean density of the channels, mean of its floor (smallest within 10 µm), largest squared difference of density
        (green) at about 1 to 2 and at 2 to 3 µm, mean densities of red and of blue.

    Raises
    ------
    ValueError
        Where the size is not a multiple of ``STEP_PX``.
    """
    height, width = rgb.shape[:2]
    # Nothing below is finer than 1 µm, so all of it starts from halved pixels: a fourth of the work.
    half = halved(rgb, STEP_PX)
    quarter = np.asarray(cv2.resize(half, (width // 4, height // 4), interpolation=cv2.INTER_AREA), np.uint8)
    density = optical_density(quarter, white)
    mean = cv2.transform(density, np.full((1, 3), 1 / 3, np.float32))
    floor = cv2.blur(cv2.erode(mean, np.ones((FLOOR_WINDOW_PX, FLOOR_WINDOW_PX), np.uint8)), (3, 3))
    fine, coarse = _differences(cv2.LUT(cv2.extractChannel(half, 1), density_table(white)[1]))
    size = (width // STEP_PX, height // STEP_PX)
    means = (mean, floor, cv2.extractChannel(density, 0), cv2.extractChannel(density, 2))
    whole, gaps, red, blue = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in means)
    return np.stack((whole, gaps, _peaks(fine, size), _peaks(coarse, size), red, blue), axis=-1)


def _differences(green: MatLike) -> tuple[MatLike, MatLike]:
    """Return the differences of Gaussians of halved pixels, the second on quartered ones."""
    sharp = cv2.GaussianBlur(green, (0, 0), sigmaX=_more(2, FINE_PX[0]) / 2)
    middle = cv2.GaussianBlur(sharp, (0, 0), sigmaX=_between(*FINE_PX) / 2)
    # Blurred by 3.2 pixels, every fourth one is enough for the rest.
    fewer = cv2.resize(middle, (green.shape[1] // 2, green.shape[0] // 2), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(fewer, (0, 0), sigmaX=_between(*COARSE_PX) / 4)
    return cv2.subtract(sharp, middle), cv2.subtract(fewer, wide)


def _peaks(difference: MatLike, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the largest square within each of ``size`` squares (width, height), float32 (H, W).

    Not the mean: a sharp edge peaks alike at any scale, while its mean square falls with the scale. So smooth nuclei on
    clear ground, which are edges and little else, would look half as sharp as a texture does.
    """
    width, height = size
    squares = np.asarray(cv2.multiply(difference, difference), np.float32).reshape(height, -1, difference.shape[1])
    return np.asarray(squares.max(axis=1).reshape(height, width, -1).max(axis=-1), np.float32)


def _between(sigma: float, wanted: float) -> float:
    """Return the blur that takes one standard deviation to another."""
    return float(np.sqrt(wanted**2 - sigma**2))


def _more(averaged_px: int, wanted: float) -> float:
    """Return the blur that takes pixels averaged over a square to a standard deviation."""
    return _between(float(np.sqrt((averaged_px**2 - 1) / 12)), wanted)


@dataclass(frozen=True, slots=True, eq=False)
class MeasureRaster:
    """The measures of a whole slide, filled tile by tile.

    Attributes
    ----------
    values : ndarray, shape (H, W, 6), float16
        See ``measure_tile``; NaN where no tile was read.
    step_um : float
        Side of a square.
    """

    values: NDArray[np.float16]
    step_um: float

    @classmethod
    def empty(cls, extent: Size, pixel_um: float) -> "MeasureRaster":
        """Return a raster for a slide of ``extent`` network pixels of ``pixel_um``."""
        shape = (-(-extent.height // STEP_PX), -(-extent.width // STEP_PX), len(_SCALES))
        return cls(np.full(shape, np.nan, np.float16), pixel_um * STEP_PX)

    def put(self, core: GridBox, read: GridBox, measures: NDArray[np.float32]) -> None:
        """Keep the core of a tile's measures; what reaches past the slide is dropped."""
        left, top = (core.x0 - read.x0) // STEP_PX, (core.y0 - read.y0) // STEP_PX
        x0, y0 = core.x0 // STEP_PX, core.y0 // STEP_PX
        rows = min(core.height // STEP_PX, self.values.shape[0] - y0)
        columns = min(core.width // STEP_PX, self.values.shape[1] - x0)
        # Squares are small: scaled so that float16 keeps them.
        part = measures[top : top + rows, left : left + columns] * _SCALES
        self.values[y0 : y0 + rows, x0 : x0 + columns] = part.astype(np.float16)

    def plane(self, number: int) -> NDArray[np.float32]:
        """Return one measure, float32 (H, W), NaN where unknown."""
        return np.asarray(self.values[..., number].astype(np.float32) / _SCALES[number], np.float32)

    def mean_density(self) -> "DensityRaster":
        """Return the mean densities alone, in steps of ``DENSITY_STEP_OD``."""
        steps = np.rint(self.plane(MEAN) / DENSITY_STEP_OD)
        known = np.clip(np.nan_to_num(steps), 0, UNKNOWN_DENSITY - 1)
        return DensityRaster(np.where(np.isnan(steps), UNKNOWN_DENSITY, known).astype(np.uint8), self.step_um)


@dataclass(frozen=True, slots=True, eq=False)
class DensityRaster:
    """Mean densities of a whole slide, as they are kept with its results.

    Attributes
    ----------
    values : ndarray, shape (H, W), uint8
        In steps of ``DENSITY_STEP_OD``, cut at about 1; ``UNKNOWN_DENSITY`` where no tile was read.
    step_um : float
        Side of a square.
    """

    values: NDArray[np.uint8]
    step_um: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.uint8 or not self.step_um > 0:
            raise ValueError(f"densities are uint8 of shape (H, W), got {self.values.dtype} {self.values.shape}")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether each square was read."""
        return np.asarray(self.values != UNKNOWN_DENSITY, np.bool_)

    def od_of(self, squares: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean density (log10) of the chosen squares, bool (H, W); of no meaning where it is not known."""
        return np.asarray(self.values[squares] * DENSITY_STEP_OD, np.float64)


_SCALES = np.array([1, 1, 1000, 1000, 1, 1], np.float32)
