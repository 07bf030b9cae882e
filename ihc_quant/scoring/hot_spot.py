"""The window of tissue in which positive cells are densest."""

from math import floor, sqrt

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import Estimate
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.scoring.counts import NO_CELLS

HOT_SPOT_MM2 = 0.2
"""Area of the window: a square of 447 µm, about one field of a microscope at high power."""

MIN_TISSUE_SHARE = 0.75
"""Share of the window that must be tissue. In less, a few cells on a fringe would make the highest density."""

STEPS_PER_SIDE = 28
"""Windows are tried at every 28th of their side, 16 µm: the best one lies at most 8 µm away in x and in y."""

_DIGITS_UM2 = 3
"""Areas are rounded to this many digits, so that equal windows are equal whatever the order of their sums."""


def find_hot_spot(
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    positive: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    pixel_um: float,
    *,
    window_mm2: float = HOT_SPOT_MM2,
    min_tissue_share: float = MIN_TISSUE_SHARE,
) -> HotSpot:
    """Find the square window with the most positive cells for its tissue.

    Cells are binned in squares of a 28th of the window's side, windows are whole numbers of bins, and all of them are
    tried; cells and tissue of a window come exactly from summed-area tables.

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

    Returns
    -------
    HotSpot
        Of equal windows the first in reading order. 0 and no place where no cell is positive. None with the reason
        where there are no cells, or no window holds enough tissue.

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
    step_um = side_um / STEPS_PER_SIDE

    def result(density: Estimate) -> HotSpot:
        return HotSpot(density, side_um, step_um, min_tissue_share)

    if len(positive) == 0:
        return result(Estimate(None, "cells/mm²", reason=NO_CELLS))
    lattice = _lattice(tissue, pixel_um, step_um)
    too_little = f"no window of {window_mm2:g} mm² is tissue to {100 * min_tissue_share:g} % or more"
    if lattice is None:
        return result(Estimate(None, "cells/mm²", reason=too_little))
    first_col, first_row, columns, rows = lattice
    area_um2 = np.round(_window_areas(tissue, pixel_um, step_um, lattice), _DIGITS_UM2)
    enough = area_um2 >= min_tissue_share * side_um**2 - 10.0**-_DIGITS_UM2
    if not enough.any():
        return result(Estimate(None, "cells/mm²", reason=too_little))
    col = np.floor(x_um[positive] / step_um).astype(np.int64) - first_col
    row = np.floor(y_um[positive] / step_um).astype(np.int64) - first_row
    inside = (col >= 0) & (col < columns) & (row >= 0) & (row < rows)
    binned = np.bincount(row[inside] * columns + col[inside], minlength=rows * columns).reshape(rows, columns)
    cells = _window_sums(_summed(binned))
    density = np.where(enough, cells / np.where(enough, area_um2, 1.0), -1.0)
    best = int(np.argmax(density))
    best_row, best_col = divmod(best, density.shape[1])
    found = int(cells[best_row, best_col])
    if found == 0:
        return result(Estimate(0.0, "cells/mm²"))
    best_um2 = float(area_um2[best_row, best_col])
    return HotSpot(
        Estimate(found / (best_um2 / 1e6), "cells/mm²"),
        side_um,
        step_um,
        min_tissue_share,
        (first_col + best_col) * step_um,
        (first_row + best_row) * step_um,
        found,
        best_um2,
    )


def _lattice(tissue: NDArray[np.bool_], pixel_um: float, step_um: float) -> tuple[int, int, int, int] | None:
    """Return first column, first row, columns and rows of the bins that windows over the tissue may cover.

    Bins are counted from the corner of the level-0 plane, so that the windows do not depend on the tissue; they may
    reach over the edge of the slide.
    """
    in_rows, in_columns = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
    if len(in_rows) == 0:
        return None

    def bins(found: NDArray[np.intp]) -> tuple[int, int]:
        first = floor(found[0] * pixel_um / step_um) - STEPS_PER_SIDE
        last = floor((found[-1] + 1) * pixel_um / step_um) + STEPS_PER_SIDE
        return first, last - first + 1

    (first_col, columns), (first_row, rows) = bins(in_columns), bins(in_rows)
    return first_col, first_row, columns, rows


def _window_areas(
    tissue: NDArray[np.bool_], pixel_um: float, step_um: float, lattice: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Return the tissue in each window, µm²; pixels that a window cuts count by the share inside."""
    first_col, first_row, columns, rows = lattice
    x = np.clip((first_col + np.arange(columns + 1)) * step_um / pixel_um, 0, tissue.shape[1])
    y = np.clip((first_row + np.arange(rows + 1)) * step_um / pixel_um, 0, tissue.shape[0])
    # A summed-area table grows linearly within a pixel, so interpolating it along both axes is exact.
    table = _between(_between(_summed(tissue), y).T, x).T
    return _window_sums(table) * pixel_um**2


def _between(table: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of a table at places between its rows."""
    before = np.minimum(at.astype(np.int64), len(table) - 2)
    share = (at - before)[:, None]
    return np.asarray(table[before] * (1 - share) + table[before + 1] * share, np.float64)


def _summed(values: NDArray[np.bool_] | NDArray[np.intp]) -> NDArray[np.float64]:
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(values, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def _window_sums(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum in the window that begins at each bin; a table of (r + 1, c + 1) edges gives r + 1 − 28 rows."""
    n = STEPS_PER_SIDE
    return np.asarray(table[n:, n:] - table[:-n, n:] - table[n:, :-n] + table[:-n, :-n], np.float64)
