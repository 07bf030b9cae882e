"""Bland and Altman's limits of agreement: how far one reader's figure may lie from another's."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from ihc_quant.domain.agreement import DifferenceLimits
from ihc_quant.domain.score import Estimate, Interval

FEWEST_TARGETS = 3
"""The slope of differences has n − 2 degrees of freedom."""

LIMITS_LEVEL = 0.95
"""Share of differences that the limits hold, if these are normal."""


def difference_limits(
    one: NDArray[np.float64], other: NDArray[np.float64], unit: str = "", level: float = 0.95
) -> DifferenceLimits:
    """Return mean difference and limits of agreement with their intervals.

    Parameters
    ----------
    one, other : ndarray, shape (n,), float64
        Figures of two readers for the same targets; differences are one − other.
    unit : str
        Of the figures.
    level : float
        Confidence of the intervals.

    Raises
    ------
    ValueError
        Where the two differ in length.

    Notes
    -----
    Bland and Altman 1999 (10.1177/096228029900800204): limits d ± 1.96 s; the variance of d is s² / n and of a limit
    s² (1 / n + 1.96² / (2 (n − 1))), both with Student's t on n − 1 degrees of freedom. The slope is that of least
    squares of the differences on the means of both figures.

    Examples
    --------
    Differences −1, 0, 1: mean 0, s = 1.

    >>> limits = difference_limits(np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 3.0]))
    >>> round(limits.low.value, 2), limits.bias.value, round(limits.high.value, 2)
    (-1.96, 0.0, 1.96)
    """
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"figures of shape {one.shape} and {other.shape} cannot be compared")
    n = len(one)
    if n < FEWEST_TARGETS:
        none = Estimate(None, unit, reason=f"fewer than {FEWEST_TARGETS} targets were judged by both")
        return DifferenceLimits(none, none, none, none)
    difference = one - other
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    z, t = float(ndtri(0.5 + LIMITS_LEVEL / 2)), float(stdtrit(n - 1, 0.5 + level / 2))
    of_bias = spread / sqrt(n)
    of_limit = spread * sqrt(1 / n + z**2 / (2 * (n - 1)))

    def estimate(value: float, error: float) -> Estimate:
        return Estimate(value, unit, (Interval(value - t * error, value + t * error, level, "Student's t"),))

    return DifferenceLimits(
        bias=estimate(bias, of_bias),
        low=estimate(bias - z * spread, of_limit),
        high=estimate(bias + z * spread, of_limit),
        slope=_slope((one + other) / 2, difference, level),
    )


def _slope(mean: NDArray[np.float64], difference: NDArray[np.float64], level: float) -> Estimate:
    n = len(mean)
    centred = mean - mean.mean()
    squares = float((centred**2).sum())
    if not squares > 0:
        return Estimate(None, "", reason="the means of both figures do not vary")
    slope = float((centred * difference).sum()) / squares
    rest = difference - difference.mean() - slope * centred
    error = sqrt(float((rest**2).sum()) / (n - 2) / squares)
    half = float(stdtrit(n - 2, 0.5 + level / 2)) * error
    return Estimate(slope, "", (Interval(slope - half, slope + half, level, "least squares"),))
