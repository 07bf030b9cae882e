"""Between which limits the highest density of any window lies, given that the window was chosen for being the highest.

What is bounded is the highest expected density of positive cells in any of the windows of this section: where staining
lies and how dense it is there are taken as they are, and which cells it fell on as chance (a Poisson process of any
density). So the interval holds no other section and no other piece of tissue, unlike that of the mean density.

The highest of many counts lies above the highest expected one by chance alone, so the ends are made apart.

- **Upper limit.** The highest exact upper limit (Garwood 1936, 10.2307/2333958) of any window. The window that truly is
  the densest is one of them, so the limit holds without any allowance for their number.
- **Lower limit.** The positive cells are divided at random into halves, which are independent of each other where cells
  are a Poisson process. One half chooses the window, the other alone is counted in it: twice its exact lower limit is
  one of the expected density there, and so of the highest. The median over many such halvings, each made at half the
  tail, does not depend on one of them and holds as they do (quantiles of p values: Meinshausen, Meier and Bühlmann
  2009, 10.1198/jasa.2009.tm08647).

``docs/coverage.md`` tables how often the interval holds the truth.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from ihc_quant.domain.score import Interval
from ihc_quant.scoring.windows import STEPS_PER_SIDE, Windows

HALVINGS = 50
"""Halvings of the cells; the median of the limits then moves by a tenth of their spread with another seed."""

COARSE_STEPS = 4
"""Half the cells choose among the windows at every fourth step: any choice is a fair one, and this takes no time."""

CHOSEN_METHOD = "exact Poisson allowing for the choice of the window"
"""How the method of the interval begins."""

assert STEPS_PER_SIDE % COARSE_STEPS == 0


def densest(cells: NDArray[np.float64], area_um2: NDArray[np.float64], enough: NDArray[np.bool_]) -> tuple[int, int]:
    """Return row and column of the window (r, c) with the most cells for its tissue; of equal ones the first."""
    density = np.where(enough, cells / np.where(enough, area_um2, 1.0), -1.0)
    row, col = divmod(int(np.argmax(density)), density.shape[1])
    return row, col


def choice_interval(windows: Windows, binned: NDArray[np.intp], *, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the interval of the highest expected density of any window, cells/mm².

    Parameters
    ----------
    windows : Windows
        At least one holds enough tissue.
    binned : ndarray, shape (rows, columns), int
        Positive cells of each bin.
    level : float
        Confidence.
    seed : int
        Of the halving.
    """
    tail = (1 - level) / 2
    cells = windows.sums(binned)
    number = np.rint(cells[windows.enough]).astype(np.int64)
    area_mm2 = windows.area_um2[windows.enough] / 1e6
    upper = chdtri(2 * np.arange(number.max() + 1) + 2, tail) / 2
    row, col = densest(cells, windows.area_um2, windows.enough)
    found = float(cells[row, col] / (windows.area_um2[row, col] / 1e6))
    low = min(_lower_limit(windows, binned, tail, seed), found)
    method = f"{CHOSEN_METHOD}, {HALVINGS} halvings, staining of this section as it lies"
    return Interval(low, float((upper[number] / area_mm2).max()), level, method)


def _lower_limit(windows: Windows, binned: NDArray[np.intp], tail: float, seed: int) -> float:
    """Return the median of twice the lower limits of the cells that did not choose, in the window the others chose."""
    steps = slice(None, None, COARSE_STEPS)
    area_um2, enough = windows.area_um2[steps, steps], windows.enough[steps, steps]
    if not enough.any():
        return 0.0
    random = np.random.Generator(np.random.PCG64(seed))
    place = np.nonzero(binned)
    choosing = np.zeros_like(binned)
    limits = []
    for _ in range(HALVINGS):
        choosing[place] = random.binomial(binned[place], 0.5)
        chosen = densest(windows.sums(choosing, COARSE_STEPS), area_um2, enough)
        others = round(float(windows.sums(binned - choosing, COARSE_STEPS)[chosen]))
        least = float(chdtri(2 * others, 1 - tail / 2)) / 2 if others else 0.0
        limits.append(2 * least / (float(area_um2[chosen]) / 1e6))
    return float(np.median(limits))
