"""How many calls are uncertain, and what the percentage would be if they had all gone one way."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import Estimate, UncertainCalls
from ihc_quant.scoring.counts import NO_CELLS


def count_uncertain(p_positive: NDArray[np.float32], band: tuple[float, float]) -> UncertainCalls:
    """Count the cells whose probability lies in the band of uncertain calls.

    Parameters
    ----------
    p_positive : ndarray, shape (n,), float32
        The network's calibrated probability of each cell.
    band : tuple of float
        Ends of the band, 0 to 1; a cell at the lower end is uncertain, one at the upper end is positive, as with a
        threshold.

    Returns
    -------
    UncertainCalls
        Its two fractions are those at a threshold at the upper and at the lower end of the band.

    Raises
    ------
    ValueError
        Where the band does not run upwards within 0 to 1.

    Examples
    --------
    One of four cells is uncertain; one is positive whatever happens to it.

    >>> calls = count_uncertain(np.float32([0.1, 0.2, 0.5, 0.9]), (0.4, 0.6))
    >>> calls.cells, calls.share.value
    (1, 0.25)
    >>> calls.fraction_if_negative.value, calls.fraction_if_positive.value
    (0.25, 0.5)
    """
    low, high = band
    # The table is float32, and calls compare thresholds as float32 too.
    above = int((p_positive >= np.float32(high)).sum())
    reached = int((p_positive >= np.float32(low)).sum())
    return _uncertain(band, above, reached, len(p_positive))


def add_uncertain(calls: Sequence[UncertainCalls]) -> UncertainCalls:
    """Return the uncertain calls of several sections together.

    Raises
    ------
    ValueError
        Where their bands differ.

    Examples
    --------
    >>> one = count_uncertain(np.float32([0.1, 0.2, 0.5, 0.9]), (0.4, 0.6))
    >>> other = count_uncertain(np.float32([0.1, 0.2, 0.3, 0.35]), (0.4, 0.6))
    >>> both = add_uncertain([one, other])
    >>> both.cells, both.total, both.fraction_if_positive.value
    (1, 8, 0.25)
    """
    bands = {(each.low, each.high) for each in calls}
    if len(bands) != 1:
        raise ValueError(f"uncertain calls of different bands do not add: {sorted(bands)}")
    above = sum(round((each.fraction_if_negative.value or 0.0) * each.total) for each in calls)
    return _uncertain(bands.pop(), above, above + sum(each.cells for each in calls), sum(each.total for each in calls))


def _uncertain(band: tuple[float, float], above: int, reached: int, total: int) -> UncertainCalls:
    """Return the calls of cells of which some lie above the band and some reach it."""
    low, high = band

    def share(cells: int) -> Estimate:
        return Estimate(cells / total, "fraction") if total else Estimate(None, "fraction", reason=NO_CELLS)

    return UncertainCalls(low, high, reached - above, total, share(reached - above), share(above), share(reached))
