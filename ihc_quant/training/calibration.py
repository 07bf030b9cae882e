"""Calibration of the positivity: of a hundred cells called positive with 0.8, eighty are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

CALIBRATION_BINS = 15
"""Equal-count bins of the expected calibration error."""
LEAST_P = 1e-4
"""Probabilities are kept this far from 0 and 1, where the logit is infinite."""


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """p = sigmoid(slope · logit + intercept); as it stands, it changes nothing."""

    slope: float = 1.0
    intercept: float = 0.0

    def then(self, correction: "PlattScaling") -> "PlattScaling":
        """Return this scaling followed by another.

        Examples
        --------
        >>> PlattScaling(2.0, 1.0).then(PlattScaling(3.0, -1.0))
        PlattScaling(slope=6.0, intercept=2.0)
        """
        return PlattScaling(correction.slope * self.slope, correction.slope * self.intercept + correction.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class MatchedCalls:
    """Cells that were found where a person marked one: what the network said and what the person called them.

    Attributes
    ----------
    p_positive : ndarray, shape (n,), float64
    positive : ndarray, shape (n,), bool
    """

    p_positive: NDArray[np.float64]
    positive: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positive)

    @classmethod
    def concatenate(cls, parts: "Sequence[MatchedCalls]") -> "MatchedCalls":
        """Return the cells of all parts, in order."""
        return cls(
            np.concatenate([np.empty(0), *(part.p_positive for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.positive for part in parts)]),
        )


def fit_platt(calls: MatchedCalls, weight: NDArray[np.float64] | None = None) -> PlattScaling:
    """Fit Platt scaling to the logits of the probabilities.

    The targets are drawn in from 0 and 1 as Platt does (Probabilistic outputs for support vector machines, 1999), so
    that cells which separate perfectly do not ask for an infinite slope.

    Parameters
    ----------
    calls : MatchedCalls
        Without both positive and negative cells nothing can be fitted, and the scaling changes nothing.
    weight : ndarray, shape (n,), float64, optional
        Weight of each cell; all weigh the same without.

    Returns
    -------
    PlattScaling
    """
    positives = int(calls.positive.sum())
    negatives = len(calls) - positives
    if not positives or not negatives:
        return PlattScaling()
    logit = logit_of(calls.p_positive)
    target = np.where(calls.positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: NDArray[np.float64]) -> float:
        z = parameters[0] * logit + parameters[1]
        return float(np.average(np.logaddexp(0, z) - target * z, weights=weight))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return PlattScaling(float(slope), float(intercept))


def log_loss(calls: MatchedCalls, weight: NDArray[np.float64] | None = None) -> float:
    """Return the mean −log of the probability that was given to what is true, weighted; 0 without cells."""
    z = logit_of(calls.p_positive)
    return float(np.average(np.logaddexp(0, z) - calls.positive * z, weights=weight)) if len(calls) else 0.0


def logit_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 − p)), finite by ``LEAST_P``."""
    kept = np.clip(p, LEAST_P, 1 - LEAST_P)
    return np.asarray(np.log(kept / (1 - kept)))


def calibration_error(calls: MatchedCalls, bins: int = CALIBRATION_BINS) -> float | None:
    """Return the expected calibration error: |stated − true share of positive cells| over bins of equal count.

    None without cells.

    Examples
    --------
    >>> said, was = np.array([0.2, 0.2, 0.9, 0.9]), np.array([False, False, True, True])
    >>> round(calibration_error(MatchedCalls(said, was), bins=2), 3)
    0.15
    """
    parts = reliability_bins(calls, bins)
    return sum(abs(p - share) * count for p, share, count in parts) / len(calls) if parts else None


def reliability_bins(calls: MatchedCalls, bins: int = CALIBRATION_BINS) -> list[tuple[float, float, int]]:
    """Return mean stated probability, share of positive cells and number of cells of bins of equal count.

    With fewer cells than bins each cell is one.

    Examples
    --------
    >>> said, was = np.array([0.2, 0.9, 0.2, 0.9]), np.array([False, False, True, True])
    >>> reliability_bins(MatchedCalls(said, was), bins=2)
    [(0.2, 0.5, 2), (0.9, 0.5, 2)]
    """
    order = np.argsort(calls.p_positive, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(calls.p_positive[part].mean()), float(calls.positive[part].mean()), len(part)) for part in parts]
