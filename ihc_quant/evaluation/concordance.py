"""Lin's concordance correlation coefficient: how near two readers' figures lie to the line of equality."""

from math import atanh, sqrt, tanh

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ihc_quant.domain.score import Estimate, Interval

UNIT = "CCC"

FEWEST_TARGETS = 3
"""The variance of the coefficient is divided by n − 2."""

METHOD = "Lin, on Fisher's z"


def concordance(one: NDArray[np.float64], other: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """Return Lin's coefficient of two readers.

    Parameters
    ----------
    one, other : ndarray, shape (n,), float64
        Their figures for the same targets.
    level : float
        Confidence.

    Returns
    -------
    Estimate
        Without a value for fewer than ``FEWEST_TARGETS`` targets or where neither figure varies, without an interval
        where the two are uncorrelated or agree fully.

    Raises
    ------
    ValueError
        Where the two differ in length.

    Notes
    -----
    Lin 1989 (10.2307/2532051): 2 s₁₂ / (s₁² + s₂² + (m₁ − m₂)²), variances over n. The variance of its Fisher
    transform as corrected in Lin 2000 (10.1111/j.0006-341X.2000.00324.x).

    Examples
    --------
    1, 2, 3 and 2, 3, 4: both variances and the covariance are 2/3, means 1 apart: (4/3) / (4/3 + 1) = 4/7.

    >>> round(concordance(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])).value, 4)
    0.5714
    """
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"figures of shape {one.shape} and {other.shape} cannot be compared")
    n = len(one)
    if n < FEWEST_TARGETS:
        return Estimate(None, UNIT, reason=f"fewer than {FEWEST_TARGETS} targets were judged by both")
    variance_one, variance_other = float(one.var()), float(other.var())
    apart = float(one.mean() - other.mean())
    whole = variance_one + variance_other + apart**2
    if not whole > 0:
        return Estimate(None, UNIT, reason="the figures do not vary between targets")
    covariance = float(((one - one.mean()) * (other - other.mean())).mean())
    value = 2 * covariance / whole
    product = sqrt(variance_one * variance_other)
    correlation = covariance / product if product > 0 else 0.0
    error = _error(value, correlation, apart**2 / product, n) if correlation else None
    if error is None:
        return Estimate(value, UNIT)
    half = float(ndtri(0.5 + level / 2)) * error
    centre = atanh(value)
    return Estimate(value, UNIT, (Interval(tanh(centre - half), tanh(centre + half), level, METHOD),))


def _error(value: float, correlation: float, shift: float, n: int) -> float | None:
    """Return the standard error of the Fisher transform; ``shift`` is u² = (m₁ − m₂)² / (s₁ s₂)."""
    if abs(value) >= 1 - 1e-12:
        return None
    room = 1 - value**2
    variance = (
        (1 - correlation**2) * value**2 / (room * correlation**2)
        + 2 * value**3 * (1 - value) * shift / (correlation * room**2)
        - value**4 * shift**2 / (2 * correlation**2 * room**2)
    ) / (n - 2)
    return sqrt(variance) if variance > 0 else None
