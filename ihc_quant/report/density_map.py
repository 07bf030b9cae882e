"""Density of cells over tissue, smoothed, and its colours."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.report.figures import UM2_PER_MM2
from ihc_quant.scoring.pixel_places import count_on_grid
from ihc_quant.scoring.wide_gaussian import gaussian_sums

SMOOTHING_UM = 100.0
"""Standard deviation of the heat map's Gaussian kernel. Twelve lymphocytes wide: structure of tissue, not of cells."""


@dataclass(frozen=True, slots=True, eq=False)
class DensityMap:
    """Density of the positive cells of a section, kept so that a page can be drawn without its cells.

    Attributes
    ----------
    per_mm2 : ndarray, shape (H, W), float32
        From ``positive_density``: cells per mm², 0 outside what was analysed.
    analysed : ndarray, shape (H, W), bool
        Tissue that was analysed.
    pixel_um : float
        Width of a pixel in µm; the pixels are those of the thumbnail.
    """

    per_mm2: NDArray[np.float32]
    analysed: NDArray[np.bool_]
    pixel_um: float

    def __post_init__(self) -> None:
        if self.per_mm2.ndim != 2 or self.per_mm2.shape != self.analysed.shape or not self.pixel_um > 0:
            raise ValueError("a density and where it was analysed have one height and width, and pixels have a size")
        if not np.isfinite(self.per_mm2).all() or self.per_mm2.min(initial=0.0) < 0:
            raise ValueError("densities are finite and not negative")


def positive_density(
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    tissue_mask: NDArray[np.bool_],
    pixel_um: float,
    sigma_um: float,
) -> NDArray[np.float32]:
    """Return the smoothed density of cells over the tissue.

    Cells and tissue area are smoothed with the same Gaussian kernel and then divided, so that density does not fall
    towards the tissue's edge.

    Parameters
    ----------
    x_px, y_px : ndarray, shape (n,), float64
        Cells, in pixels of the mask; those outside it do not count.
    tissue_mask : ndarray, shape (H, W), bool
        Where tissue is.
    pixel_um : float
        Width of a pixel of the mask in µm.
    sigma_um : float
        Standard deviation of the kernel in µm.

    Returns
    -------
    ndarray, shape (H, W), float32
        Cells per mm² where tissue is, 0 elsewhere.
    """
    cells = count_on_grid(x_px, y_px, tissue_mask.shape)
    area_mm2 = tissue_mask.astype(np.float32) * np.float32(pixel_um**2 / UM2_PER_MM2)
    sigma_px = sigma_um / pixel_um
    smooth_cells, smooth_area = gaussian_sums(cells * tissue_mask, sigma_px), gaussian_sums(area_mm2, sigma_px)
    density = np.zeros(tissue_mask.shape, np.float32)
    np.divide(smooth_cells, smooth_area, out=density, where=tissue_mask & (smooth_area > 0))
    return density


def round_up(value: float) -> float:
    """Return the next round number that is not below ``value``; 1 for 0.

    Examples
    --------
    >>> round_up(1234.0), round_up(50.0), round_up(0.0)
    (1250.0, 50.0, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12.5) if step * power >= value * (1 - 1e-9)
    )


def viridis(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return viridis (Smith and van der Walt 2015): even steps to the eye, also to a colour-blind one and in grey."""
    bgr = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(bgr[..., ::-1])
