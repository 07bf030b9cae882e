"""The window of tissue in which positive cells are densest."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.scoring.counts import NO_CELLS
from ihc_quant.scoring.density_error import CountedDensity, carry_density_error
from ihc_quant.scoring.hot_spot_limits import choice_interval, densest
from ihc_quant.scoring.windows import STEPS_PER_SIDE, lay_windows

HOT_SPOT_MM2 = 0.2
"""Area of the window: a square of 447 µm, about one field of a microscope at high power."""

MIN_TISSUE_SHARE = 0.75
"""Share of the window that must be tissue. In less, a few cells on a fringe would make the highest density."""


def find_hot_spot(
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    positive: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    pixel_um: float,
    *,
    window_mm2: float = HOT_SPOT_MM2,
    min_tissue_share: float = MIN_TISSUE_SHARE,
    level: float = 0.95,
    seed: int = 0,
) -> HotSpot:
    """Find the square window with the most positive cells for its tissue.

    All windows of ``ihc_quant.scoring.windows`` are tried.

    Parameters
    ----------
    x_um, y_um : ndarray, shape (n,), float64
        Places of all cells of the region, µm in the level-0 plane.
    positive : ndarray, shape (n,), bool
    tissue : ndarray, shape (H, W), bool
        The analysed tissue, on a grid that starts at the corner of the level-0 plane.
    pixel_um : float
        Side of its pixels, µm.
    window_mm2 : float
        Area of the window.
    min_tissue_share : float
        Smallest share of a window that is tissue, above 0 and at most 1.
    level : float
        Confidence of the interval.
    seed : int
        Of the halving that it is made with.

    Returns
    -------
    HotSpot
        Of equal windows the first in reading order, with the interval of ``choice_interval``. 0 and no place where no
        cell is positive. None with the reason where there are no cells, or no window holds enough tissue.

    Raises
    ------
    ValueError
        Where the columns differ in length, or a size or a share is out of range.
    """
    if not len(x_um) == len(y_um) == len(positive):
        raise ValueError("cells have one place and one call each")
    if not (window_mm2 > 0 and pixel_um > 0 and 0 < min_tissue_share <= 1):
        raise ValueError(f"no window of {window_mm2} mm² is searched on {pixel_um} µm with {min_tissue_share} tissue")
    side_um = sqrt(window_mm2 * 1e6)

    def result(density: Estimate) -> HotSpot:
        return HotSpot(density, side_um, side_um / STEPS_PER_SIDE, min_tissue_share)

    if len(positive) == 0:
        return result(Estimate(None, "cells/mm²", reason=NO_CELLS))
    windows = lay_windows(tissue, pixel_um, side_um, min_tissue_share)
    if windows is None or not windows.enough.any():
        too_little = f"no window of {window_mm2:g} mm² is tissue to {100 * min_tissue_share:g} % or more"
        return result(Estimate(None, "cells/mm²", reason=too_little))
    binned = windows.bin(x_um[positive], y_um[positive])
    interval = (choice_interval(windows, binned, level=level, seed=seed),)
    row, col = densest(windows.sums(binned), windows.area_um2, windows.enough)
    found = int(windows.sums(binned)[row, col])
    if found == 0:
        area_um2 = float(np.count_nonzero(tissue)) * pixel_um**2
        return replace(result(Estimate(0.0, "cells/mm²", interval)), cells=len(positive), tissue_um2=area_um2)
    area_um2 = float(windows.area_um2[row, col])
    return replace(
        result(Estimate(found / (area_um2 / 1e6), "cells/mm²", interval)),
        x_um=(windows.first_col + col) * windows.step_um,
        y_um=(windows.first_row + row) * windows.step_um,
        positive=found,
        cells=int(windows.sums(windows.bin(x_um, y_um))[row, col]),
        tissue_um2=area_um2,
    )


def carry_hot_spot_error(
    spot: HotSpot, marker: str, errors: Sequence[MeasurementError] | None, *, level: float, draws: int, seed: int
) -> HotSpot:
    """Carry the network's error into the density of a hot spot, as into any other density.

    Parameters
    ----------
    spot : HotSpot
    marker : str
    errors, level, draws, seed
        As ``ihc_quant.scoring.density_error.carry_density_error`` takes them.

    Notes
    -----
    A window of 0.2 mm² is about as large as the images on which the error was measured. That the densest of many
    windows is rather one in which the network counts too many is not in the interval.
    """
    if spot.density_per_mm2.value is None:
        return spot
    counts = CellCounts(spot.cells - spot.positive, spot.positive, area_um2=spot.tissue_um2)
    counted = CountedDensity(marker, counts, spot.density_per_mm2, errors)
    density, _ = carry_density_error(counted, level=level, draws=draws, seed=seed)
    return replace(spot, density_per_mm2=density)
