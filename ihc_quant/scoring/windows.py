"""Square windows over the tissue of a section: where they may lie, how much tissue they hold, and sums over them.

Cells are binned in squares of a 28th of the window's side, windows are whole numbers of bins, and everything in a
window comes exactly from summed-area tables.
"""

from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

STEPS_PER_SIDE = 28
"""Windows are tried at every 28th of their side, 16 µm at 0.2 mm²: the best one lies at most 8 µm away in x and y."""

_DIGITS_UM2 = 3
"""Areas are rounded to this many digits, so that equal windows are equal whatever the order of their sums."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """All windows that lie over some tissue, one at every bin.

    Attributes
    ----------
    step_um : float
        Side of a bin, µm.
    first_row, first_col : int
        First bin, counted from the corner of the level-0 plane, so that windows do not depend on the tissue; they may
        reach over the edge of the slide.
    rows, columns : int
        Bins that windows may cover.
    area_um2 : ndarray, shape (r, c), float64
        Tissue in the window that begins at each bin; r is ``rows + 1 − STEPS_PER_SIDE``.
    enough : ndarray, shape (r, c), bool
        Windows that hold enough tissue to be chosen.
    """

    step_um: float
    first_row: int
    first_col: int
    rows: int
    columns: int
    area_um2: NDArray[np.float64]
    enough: NDArray[np.bool_]

    def bin(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return how many places (n,), µm in the level-0 plane, lie in each bin, (rows, columns)."""
        col = np.floor(x_um / self.step_um).astype(np.int64) - self.first_col
        row = np.floor(y_um / self.step_um).astype(np.int64) - self.first_row
        inside = (col >= 0) & (col < self.columns) & (row >= 0) & (row < self.rows)
        counted = np.bincount(row[inside] * self.columns + col[inside], minlength=self.rows * self.columns)
        return counted.reshape(self.rows, self.columns)

    def sums(self, binned: NDArray[np.intp], every: int = 1) -> NDArray[np.float64]:
        """Return the sum of bins (rows, columns) in the window that begins at each bin, or at ``every`` so many.

        The result goes with ``area_um2[::every, ::every]``; ``every`` divides ``STEPS_PER_SIDE``.
        """
        if every > 1:
            rows, columns = -(-self.rows // every), -(-self.columns // every)
            whole = np.zeros((rows * every, columns * every), np.int64)
            whole[: self.rows, : self.columns] = binned
            binned = whole.reshape(rows, every, columns, every).sum(axis=(1, 3))
        height, width = self.area_um2[::every, ::every].shape
        return _window_sums(_summed(binned), STEPS_PER_SIDE // every)[:height, :width]

    def of_pixels(self, values: NDArray[np.float32] | NDArray[np.bool_], pixel_um: float) -> NDArray[np.float64]:
        """Return the sum of pixels (H, W) in each window, (r, c); those that it cuts count by the share inside."""
        return _of_pixels(values, pixel_um, self)


def lay_windows(tissue: NDArray[np.bool_], pixel_um: float, side_um: float, min_tissue_share: float) -> Windows | None:
    """Return the windows over the tissue; None where there is none.

    Parameters
    ----------
    tissue : ndarray, shape (H, W), bool
        On a grid that starts at the corner of the level-0 plane.
    pixel_um : float
        Side of its pixels, µm.
    side_um : float
        Of a window.
    min_tissue_share : float
        Smallest share of a window that is tissue where it may be chosen.
    """
    in_rows, in_columns = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
    if len(in_rows) == 0:
        return None
    step_um = side_um / STEPS_PER_SIDE

    def bins(found: NDArray[np.intp]) -> tuple[int, int]:
        first = floor(found[0] * pixel_um / step_um) - STEPS_PER_SIDE
        last = floor((found[-1] + 1) * pixel_um / step_um) + STEPS_PER_SIDE
        return first, last - first + 1

    (first_col, columns), (first_row, rows) = bins(in_columns), bins(in_rows)
    shape = (rows + 1 - STEPS_PER_SIDE, columns + 1 - STEPS_PER_SIDE)
    bare = Windows(step_um, first_row, first_col, rows, columns, np.zeros(shape), np.zeros(shape, np.bool_))
    area_um2 = np.round(_of_pixels(tissue, pixel_um, bare) * pixel_um**2, _DIGITS_UM2)
    enough = area_um2 >= min_tissue_share * side_um**2 - 10.0**-_DIGITS_UM2
    return Windows(step_um, first_row, first_col, rows, columns, area_um2, enough)


def _of_pixels(
    values: NDArray[np.float32] | NDArray[np.bool_], pixel_um: float, windows: Windows
) -> NDArray[np.float64]:
    x = (windows.first_col + np.arange(windows.columns + 1)) * windows.step_um / pixel_um
    y = (windows.first_row + np.arange(windows.rows + 1)) * windows.step_um / pixel_um
    # A summed-area table grows linearly within a pixel, so interpolating it along both axes is exact.
    by_rows = _between(_summed(values), np.clip(y, 0, values.shape[0]))
    return _window_sums(_between(by_rows.T, np.clip(x, 0, values.shape[1])).T, STEPS_PER_SIDE)


def _between(table: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of a table at places between its rows."""
    before = np.minimum(at.astype(np.int64), len(table) - 2)
    share = (at - before)[:, None]
    return np.asarray(table[before] * (1 - share) + table[before + 1] * share, np.float64)


def _summed(values: NDArray[np.bool_] | NDArray[np.intp] | NDArray[np.float32]) -> NDArray[np.float64]:
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(values, axis=0, dtype=np.float64, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def _window_sums(table: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the sum in each window of n by n bins; a table of (r + 1, c + 1) edges gives r + 1 − n rows."""
    return np.asarray(table[n:, n:] - table[:-n, n:] - table[n:, :-n] + table[:-n, :-n], np.float64)
