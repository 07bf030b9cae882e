"""Cohen's kappa, plain and weighted: agreement in categories beyond what chance would give."""

from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.scoring.intervals import wilson_interval


class Weighting(StrEnum):
    """How much two categories i and j of K disagree: 1, |i − j| / (K − 1), or the square of that."""

    NONE = "unweighted"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


METHOD = "normal, Fleiss, Cohen and Everitt 1969"


def category_table(one: NDArray[np.int64], other: NDArray[np.int64], categories: int) -> NDArray[np.int64]:
    """Return how often each pair of categories was given.

    Parameters
    ----------
    one, other : ndarray, shape (n,), int64
        Categories that two readers gave to the same targets, from 0.
    categories : int
        How many there are, also those that nobody gave.

    Returns
    -------
    ndarray, shape (categories, categories), int64
        Rows by ``one``, columns by ``other``.

    Raises
    ------
    ValueError
        Where the two differ in length or a category is out of range.

    Examples
    --------
    >>> category_table(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"categories of shape {one.shape} and {other.shape} cannot be compared")
    both = np.concatenate([one, other])
    if len(both) and not (both.min() >= 0 and both.max() < categories):
        raise ValueError(f"categories run from 0 to {categories - 1}")
    counts = np.bincount(one * categories + other, minlength=categories**2)
    return counts.reshape(categories, categories).astype(np.int64)


def kappa(table: NDArray[np.int64], weighting: Weighting = Weighting.NONE, level: float = 0.95) -> Estimate:
    """Return kappa of a table of two readers' categories.

    Parameters
    ----------
    table : ndarray, shape (K, K), int64
        From ``category_table``; categories in their order where the weighting needs one.
    weighting : Weighting
    level : float
        Confidence.

    Returns
    -------
    Estimate
        Without a value where there are no targets or both readers gave one and the same category throughout.

    Notes
    -----
    Cohen 1968 (10.1037/h0026256); the standard error is that of Fleiss, Cohen and Everitt 1969 (10.1037/h0028106),
    for many targets. Limits are cut at −1 and 1.

    Examples
    --------
    Agreement in 35 of 50, by chance in half: (0.7 − 0.5) / (1 − 0.5).

    >>> round(kappa(np.array([[20, 5], [10, 15]])).value, 3)
    0.4
    """
    unit = f"kappa, {weighting}"
    total = int(table.sum())
    if total == 0:
        return Estimate(None, unit, reason="no target was put in a category by both")
    weight = 1 - _disagreement(len(table), weighting)
    share = table / total
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    seen, expected = float((weight * share).sum()), float(rows @ weight @ columns)
    if expected >= 1 - 1e-12:
        return Estimate(None, unit, reason="both readers gave one category throughout")
    value = (seen - expected) / (1 - expected)
    margin = (weight @ columns)[:, None] + (weight.T @ rows)[None, :]
    spread = float((share * (weight - margin * (1 - value)) ** 2).sum()) - (value - expected * (1 - value)) ** 2
    half = float(ndtri(0.5 + level / 2)) * sqrt(max(0.0, spread) / total) / (1 - expected)
    # All on the diagonal, the formula gives an error of 0, which is no knowledge of the error.
    if half <= 1e-9:
        return Estimate(value, unit)
    return Estimate(value, unit, (Interval(max(-1.0, value - half), min(1.0, value + half), level, METHOD),))


def same_category(table: NDArray[np.int64], level: float = 0.95) -> Estimate:
    """Return the share of targets that both readers put in the same category.

    Examples
    --------
    >>> same_category(np.array([[20, 5], [10, 15]])).value
    0.7
    """
    total, same = int(table.sum()), int(np.trace(table))
    if total == 0:
        return Estimate(None, "fraction", reason="no target was put in a category by both")
    wilson = wilson_interval(same, total, level)
    return Estimate(same / total, "fraction", (Interval(wilson.low, wilson.high, level, "Wilson"),))


def _disagreement(categories: int, weighting: Weighting) -> NDArray[np.float64]:
    """Return the disagreement of each pair of categories, shape (K, K), 0 to 1."""
    index = np.arange(categories)
    away: NDArray[np.float64] = np.abs(index[:, None] - index).astype(np.float64) / max(1, categories - 1)
    match weighting:
        case Weighting.LINEAR:
            return away
        case Weighting.QUADRATIC:
            return np.asarray(away**2)
        case Weighting.NONE:
            return (away > 0).astype(np.float64)
