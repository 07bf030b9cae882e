"""Grades to counts."""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import CellCounts

NO_CELLS = "no cells were found in the analysed tissue"
"""Why figures over cells have no value."""


def count_cells(grade: NDArray[np.int8], area_um2: float) -> CellCounts:
    """Count the cells of each grade.

    Parameters
    ----------
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3.
    area_um2 : float
        Area in which they were found, µm².

    Raises
    ------
    ValueError
        Where a grade lies outside 0 to 3.

    Examples
    --------
    >>> count_cells(np.int8([0, 0, 1, 3]), 1e6)
    CellCounts(negative=2, one_plus=1, two_plus=0, three_plus=1, area_um2=1000000.0)
    """
    if len(grade) and (grade.min() < 0 or grade.max() > 3):
        raise ValueError("a grade is 0, 1, 2 or 3")
    negative, one, two, three = (int(count) for count in np.bincount(grade, minlength=4))
    return CellCounts(negative, one, two, three, float(area_um2))


def count_by_fragment(
    grade: NDArray[np.int8], fragment: NDArray[np.int16], areas_um2: dict[int, float]
) -> tuple[tuple[int, CellCounts], ...]:
    """Count the cells of each tissue fragment.

    Parameters
    ----------
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3.
    fragment : ndarray, shape (n,), int16
        Fragment of each cell.
    areas_um2 : dict of int to float
        Analysed area of every fragment, µm²; the fragments without cells too.

    Returns
    -------
    tuple of (fragment, CellCounts)
        In the order of ``areas_um2``. Their sum is the count of the slide.

    Raises
    ------
    ValueError
        Where cells lie in a fragment whose area is not given.
    """
    unknown = set(np.unique(fragment).tolist()) - set(areas_um2)
    if unknown:
        raise ValueError(f"cells lie in fragments of unknown area: {sorted(unknown)}")
    return tuple((number, count_cells(grade[fragment == number], area)) for number, area in areas_um2.items())
