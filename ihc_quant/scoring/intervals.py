"""Confidence intervals that take cells as independent: simple, known, and too narrow where staining clusters.

The block bootstrap of ``ihc_quant.scoring.bootstrap`` stands beside them.
"""

from math import sqrt

import numpy as np
from scipy.special import betaincinv, chdtri, ndtri

from ihc_quant.domain.score import Estimate, Interval


def wilson_interval(positives: int, total: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a fraction of independent cells.

    Parameters
    ----------
    positives, total : int
        ``total`` is at least 1.
    level : float
        Confidence.

    Raises
    ------
    ValueError
        Where there are no cells, or more positive ones than cells.

    Notes
    -----
    Wilson 1927, 10.1080/01621459.1927.10502953: (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).

    Examples
    --------
    By hand, for 10 of 100: z = 1.96, z² = 3.84; centre (0.1 + 0.0192) / 1.0384 = 0.1148, half-width
    1.96 √(0.0009 + 0.000096) / 1.0384 = 0.0596.

    >>> interval = wilson_interval(10, 100)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.055, 0.174)
    """
    if not 0 <= positives <= total or total == 0:
        raise ValueError(f"{positives} positive of {total} cells make no fraction")
    z = float(ndtri(0.5 + level / 2))
    p, shrink = positives / total, 1 + z * z / total
    centre = (p + z * z / (2 * total)) / shrink
    half = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / shrink
    low = 0.0 if positives == 0 else max(0.0, centre - half)
    high = 1.0 if positives == total else min(1.0, centre + half)
    return Interval(low, high, level, "Wilson, cells taken as independent")


def garwood_interval(count: int, area_mm2: float, level: float = 0.95) -> Interval:
    """Return the exact Poisson interval of a density of independent cells.

    Parameters
    ----------
    count : int
        Cells.
    area_mm2 : float
        Area, above 0.
    level : float
        Confidence.

    Raises
    ------
    ValueError
        Where the count is negative or the area is not positive.

    Notes
    -----
    Garwood 1936, 10.2307/2333958: half the quantiles of χ² with 2n and 2n + 2 degrees of freedom.

    Examples
    --------
    No cell in 1 mm²: the upper limit is −ln 0.025.

    >>> interval = garwood_interval(0, 1.0)
    >>> interval.low, round(interval.high, 3)
    (0.0, 3.689)
    """
    if count < 0 or not area_mm2 > 0:
        raise ValueError(f"{count} cells in {area_mm2} mm² make no density")
    tail = (1 - level) / 2
    low = float(chdtri(2 * count, 1 - tail)) / 2 if count else 0.0
    high = float(chdtri(2 * count + 2, tail)) / 2
    return Interval(low / area_mm2, high / area_mm2, level, "exact Poisson (Garwood), cells taken as independent")


def grade_interval(grades: tuple[int, int, int, int], level: float = 0.95) -> Interval:
    """Return an interval of the H-score of independent cells that has a width and stays within 0 and 300.

    Parameters
    ----------
    grades : tuple of int
        Cells that are negative, 1+, 2+, 3+; at least one cell.
    level : float
        Confidence.

    Raises
    ------
    ValueError
        Where there are no cells.

    Notes
    -----
    The H-score is 100 times the sum of three fractions: cells of 1+ or more, of 2+ or more, of 3+. Each has Wilson's
    limits, and the distances of the limits from the fractions are joined as standard errors are (Zou and Donner 2008,
    10.1002/sim.3095: variances recovered from the limits of each part). The correlation of two of the fractions, of
    which one holds the other, is taken from the counts with half a cell added to each grade, so that it is known where
    a grade has no cell. A normal interval, in contrast, has no width where all cells have one grade.

    Examples
    --------
    Half the cells negative, half 3+: Wilson's limits are 0.404 and 0.596 for each fraction, and almost the same cells
    are in all three, so that the distance of 0.0962 counts nearly three times.

    >>> interval = grade_interval((50, 0, 0, 50))
    >>> round(interval.low, 1), round(interval.high, 1)
    (121.3, 178.7)
    """
    total = sum(grades)
    if total == 0:
        raise ValueError("no cells make no H-score")
    parts = [wilson_interval(sum(grades[grade:]), total, level) for grade in (1, 2, 3)]
    shares = np.array([sum(grades[grade:]) / total for grade in (1, 2, 3)])
    smooth = np.array([(sum(grades[grade:]) + 0.5 * (4 - grade)) / (total + 2) for grade in (1, 2, 3)])
    odds = np.sqrt(smooth / (1 - smooth))
    # Of nested fractions p > q the correlation is the root of q(1 - p) / p(1 - q).
    alike = np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds)
    below = shares - np.array([part.low for part in parts])
    above = np.array([part.high for part in parts]) - shares
    mean = float(shares.sum())
    low, high = mean - sqrt(below @ alike @ below), mean + sqrt(above @ alike @ above)
    return Interval(
        max(0.0, 100 * low), min(300.0, 100 * high), level, "Wilson of each grade joined, cells taken as independent"
    )


def poisson_ratio_interval(
    count: int, area_mm2: float, other_count: int, other_area_mm2: float, level: float = 0.95
) -> Interval:
    """Return the exact interval of the ratio of two densities of independent cells.

    Parameters
    ----------
    count, other_count : int
        Cells of the numerator and of the denominator, at least 1 each.
    area_mm2, other_area_mm2 : float
        Their areas, above 0.
    level : float
        Confidence.

    Raises
    ------
    ValueError
        Where a count is below 1 or an area is not positive.

    Notes
    -----
    Przyborowski and Wilenski 1940, 10.1093/biomet/31.3-4.313: given the sum of both counts the first is binomial, so
    the limits are those of Clopper and Pearson for its share p, turned into p / (1 − p) and divided by the ratio of the
    areas.

    Examples
    --------
    10 and 10 cells in equal areas: Clopper and Pearson's limits for 10 of 20 are 0.272 and 0.728, and 0.728 / 0.272 is
    2.68.

    >>> interval = poisson_ratio_interval(10, 1.0, 10, 1.0)
    >>> round(interval.low, 2), round(interval.high, 2)
    (0.37, 2.68)
    """
    if min(count, other_count) < 1 or not min(area_mm2, other_area_mm2) > 0:
        raise ValueError(f"{count} cells in {area_mm2} and {other_count} in {other_area_mm2} mm² make no ratio")
    tail, areas = (1 - level) / 2, other_area_mm2 / area_mm2
    low = float(betaincinv(count, other_count + 1, tail))
    # The share of the others, seen from their own side, so that the inverse ratio has exactly the inverse limits.
    others = float(betaincinv(other_count, count + 1, tail))
    return Interval(
        low / (1 - low) * areas, (1 - others) / others * areas, level, "exact Poisson, cells taken as independent"
    )


def outer_limits(estimate: Estimate) -> tuple[float, float]:
    """Return the lowest and the highest limit of all intervals of a figure, the figure itself included.

    Raises
    ------
    ValueError
        Where there is no figure.

    Examples
    --------
    >>> outer_limits(Estimate(0.3, "fraction", (Interval(0.2, 0.4, 0.95, "one"), Interval(0.25, 0.5, 0.95, "other"))))
    (0.2, 0.5)
    """
    if estimate.value is None:
        raise ValueError("what was not evaluated has no limits")
    ends = [(estimate.value, estimate.value), *((interval.low, interval.high) for interval in estimate.intervals)]
    return min(low for low, _ in ends), max(high for _, high in ends)
