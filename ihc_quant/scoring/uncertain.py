"""How many calls are uncertain, and what the percentage would be if they had all gone one way."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import Estimate, UncertainCalls
from ihc_quant.scoring.counts import NO_CELLS


def off_band(p_threshold: float, band: tuple[float, float]) -> str:
    """Return why a band says nothing of calls with this threshold; nothing where it holds the threshold.

    The band is made around the threshold of the weights' card. With one outside of it the percentage would not lie
    between the two at the ends of the band, and cells called surely would count as uncertain.

    Raises
    ------
    ValueError
        Where the band does not run upwards within 0 to 1.

    Examples
    --------
    >>> off_band(0.9, (0.4, 0.6)), off_band(0.5, (0.4, 0.6))
    ('the threshold 0.9 lies outside the band of uncertain calls, 0.4 to 0.6', '')
    """
    low, high = band
    if not 0 <= low <= high <= 1:
        raise ValueError(f"a band runs upwards within 0 to 1, got {low} to {high}")
    if low <= p_threshold <= high:
        return ""
    return f"the threshold {p_threshold:g} lies outside the band of uncertain calls, {low:g} to {high:g}"


def count_uncertain(p_positive: NDArray[np.float32], band: tuple[float, float], p_threshold: float) -> UncertainCalls:
    """Count the cells whose probability lies in the band of uncertain calls.

    Parameters
    ----------
    p_positive : ndarray, shape (n,), float32
        The network's calibrated probability of each cell.
    band : tuple of float
        Ends of the band, 0 to 1; a cell at the lower end is uncertain, one at the upper end is positive, as with a
        threshold.
    p_threshold : float
        Least probability of a positive cell.

    Returns
    -------
    UncertainCalls
        Its two fractions are those at a threshold at the upper and at the lower end of the band. With a threshold
        outside of the band it has no figures, and the reason.

    Raises
    ------
    ValueError
        Where the band does not run upwards within 0 to 1.

    Examples
    --------
    One of four cells is uncertain; one is positive whatever happens to it.

    >>> calls = count_uncertain(np.float32([0.1, 0.2, 0.5, 0.9]), (0.4, 0.6), 0.5)
    >>> calls.cells, calls.share.value
    (1, 0.25)
    >>> calls.fraction_if_negative.value, calls.fraction_if_positive.value
    (0.25, 0.5)
    """
    reason = off_band(p_threshold, band)
    low, high = band
    # The table is float32, and calls compare thresholds as float32 too.
    above = int((p_positive >= np.float32(high)).sum())
    reached = int((p_positive >= np.float32(low)).sum())
    return _uncertain(band, above, reached, len(p_positive), reason)


def add_uncertain(calls: Sequence[UncertainCalls]) -> UncertainCalls:
    """Return the uncertain calls of several sections together; no figures where one of them has none.

    Raises
    ------
    ValueError
        Where their bands differ.

    Examples
    --------
    >>> one = count_uncertain(np.float32([0.1, 0.2, 0.5, 0.9]), (0.4, 0.6), 0.5)
    >>> other = count_uncertain(np.float32([0.1, 0.2, 0.3, 0.35]), (0.4, 0.6), 0.5)
    >>> both = add_uncertain([one, other])
    >>> both.cells, both.total, both.fraction_if_positive.value
    (1, 8, 0.25)
    """
    bands = {(each.low, each.high) for each in calls}
    if len(bands) != 1:
        raise ValueError(f"uncertain calls of different bands do not add: {sorted(bands)}")
    above = sum(round((each.fraction_if_negative.value or 0.0) * each.total) for each in calls)
    # A section without cells has no figures either, but takes none from the others.
    reasons = [each.share.reason for each in calls if each.total and each.share.reason]
    cells, total = sum(each.cells for each in calls), sum(each.total for each in calls)
    return _uncertain(bands.pop(), above, above + cells, total, reasons[0] if reasons else "")


def _uncertain(band: tuple[float, float], above: int, reached: int, total: int, reason: str = "") -> UncertainCalls:
    """Return the calls of cells of which some lie above the band and some reach it; a reason leaves no figures."""
    low, high = band
    reason = reason if total else NO_CELLS

    def share(cells: int) -> Estimate:
        return Estimate(None, "fraction", reason=reason) if reason else Estimate(cells / total, "fraction")

    return UncertainCalls(low, high, reached - above, total, share(reached - above), share(above), share(reached))
