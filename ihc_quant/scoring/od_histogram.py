"""The distribution of chromogen density over the cells of a section."""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.scoring.calls import CallRule

BINS = 60
"""Enough to see two humps, few enough to draw as bars."""
STEP_OD = 0.025
"""Width of a bin. 60 of them reach 1.5, beyond which a camera of 8 bits tells dark from darker no more."""


def od_histogram(od: NDArray[np.float32], positive: NDArray[np.bool_], rule: CallRule) -> OdHistogram:
    """Count the cells of a section by optical density.

    Parameters
    ----------
    od : ndarray, shape (n,), float32
        Optical density (log10) from the column ``rule.od_column``.
    positive : ndarray, shape (n,), bool
        Calls of the same cells.
    rule : CallRule
        As the section is scored.

    Raises
    ------
    ValueError
        Where there is not one call a cell.

    Examples
    --------
    >>> histogram = od_histogram(np.float32([-0.1, 0.01, 0.03, 9.0]), np.array([False, False, True, True]), CallRule())
    >>> histogram.negative[:2], histogram.positive[:2], histogram.positive[-1]
    ((2, 0), (0, 1), 1)
    """
    if od.shape != positive.shape:
        raise ValueError("each cell has one density and one call")
    place = np.clip(np.floor(od / np.float32(STEP_OD)), 0, BINS - 1).astype(np.int64)
    negative_cells, positive_cells = (
        tuple(int(count) for count in np.bincount(place[chosen], minlength=BINS)) for chosen in (~positive, positive)
    )
    statistic = "mean" if rule.statistic == "mean" else "90th percentile"
    return OdHistogram(
        STEP_OD,
        negative_cells,
        positive_cells,
        rule.cuts_od,
        f"{statistic} of the {rule.compartment}",
        rule.mode == "network",
    )
