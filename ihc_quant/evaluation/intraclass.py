"""Intraclass correlation: which share of the variation of figures lies between targets and not between readers.

The six forms of Shrout and Fleiss 1979 (10.1037/0033-2909.86.2.420). ICC(1, ·) takes readers as others for each
target, ICC(2, ·) as a sample of readers whose offsets count as disagreement (absolute agreement), ICC(3, ·) as the only
readers, whose offsets do not count (consistency); (·, 1) is for one reader's figure, (·, k) for the mean of all. Limits
by F as McGraw and Wong 1996 (10.1037/1082-989X.1.1.30); those of means follow from those of single readers by Spearman
and Brown's formula, which is the same.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from ihc_quant.domain.agreement import MeanSquares
from ihc_quant.domain.score import Estimate, Interval

ICC_FORMS: Mapping[str, str] = {
    "ICC(1,1)": "one-way random, absolute agreement, one reader",
    "ICC(2,1)": "two-way random, absolute agreement, one reader",
    "ICC(3,1)": "two-way mixed, consistency, one reader",
    "ICC(1,k)": "one-way random, absolute agreement, mean of the readers",
    "ICC(2,k)": "two-way random, absolute agreement, mean of the readers",
    "ICC(3,k)": "two-way mixed, consistency, mean of the readers",
}
"""Forms and what they mean."""

METHOD = "F, McGraw and Wong 1996"

ROUNDING = 1e-24
"""A mean square below this share of the mean square of the figures is rounding (1e-12, squared) and taken as 0."""


def mean_squares(values: NDArray[np.float64]) -> MeanSquares:
    """Return the mean squares of a table of targets × readers.

    Parameters
    ----------
    values : ndarray, shape (n, k), float64
        Figure of each reader (column) for each target (row); finite, n and k at least 2.

    Raises
    ------
    ValueError
        Where the table is smaller or holds something that is not finite.

    Examples
    --------
    Two readers one apart on three targets: nothing is left over.

    >>> mean_squares(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    MeanSquares(targets=3, readers=2, between_targets=8.0, between_readers=1.5, residual=0.0, within=0.5)
    """
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"mean squares need finite figures of two targets and two readers, got {values.shape}")
    n, k = values.shape
    centred = values - values.mean()
    of_targets, of_readers = centred.mean(axis=1), centred.mean(axis=0)
    residual = centred - of_targets[:, None] - of_readers
    within = centred - of_targets[:, None]
    least = ROUNDING * float((values**2).mean())

    def mean_square(total: float, degrees: int) -> float:
        square = float(total) / degrees
        return square if square > least else 0.0

    return MeanSquares(
        targets=n,
        readers=k,
        between_targets=mean_square(k * (of_targets**2).sum(), n - 1),
        between_readers=mean_square(n * (of_readers**2).sum(), k - 1),
        residual=mean_square((residual**2).sum(), (n - 1) * (k - 1)),
        within=mean_square((within**2).sum(), n * (k - 1)),
    )


def intraclass(squares: MeanSquares, level: float = 0.95) -> tuple[Estimate, ...]:
    """Return the six forms of the intraclass correlation, in the order of ``ICC_FORMS``.

    Parameters
    ----------
    squares : MeanSquares
    level : float
        Confidence.

    Returns
    -------
    tuple of Estimate
        The form stands in ``unit``. Without a value where nothing varies, without interval where readers agree fully.

    Examples
    --------
    Figures one apart: fully consistent, but in absolute agreement only (8 − 0) / (8 + 0 + 2 (1.5 − 0) / 3) = 8 / 9.

    >>> squares = mean_squares(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    >>> for form in intraclass(squares)[:3]:
    ...     print(form.unit, round(form.value, 4))
    ICC(1,1) 0.8824
    ICC(2,1) 0.8889
    ICC(3,1) 1.0
    """
    singles = (_one_way(squares, level), _absolute(squares, level), _consistent(squares, level))
    k = squares.readers
    means = [(_of_mean(value, k), _of_mean(low, k), _of_mean(high, k)) for value, low, high in singles]
    return tuple(_estimate(form, *figures, level) for form, figures in zip(ICC_FORMS, (*singles, *means), strict=True))


Figures = tuple[float | None, float | None, float | None]
"""Value, lower and upper limit."""


def _one_way(squares: MeanSquares, level: float) -> Figures:
    n, k = squares.targets, squares.readers
    return _by_ratio(squares.between_targets, squares.within, n - 1, n * (k - 1), k, level)


def _consistent(squares: MeanSquares, level: float) -> Figures:
    n, k = squares.targets, squares.readers
    return _by_ratio(squares.between_targets, squares.residual, n - 1, (n - 1) * (k - 1), k, level)


def _by_ratio(between: float, error: float, df_between: int, df_error: int, k: int, level: float) -> Figures:
    """Return (between − error) / (between + (k − 1) error) with limits from the ratio of the two."""
    if between == 0 and error == 0:
        return None, None, None
    value = (between - error) / (between + (k - 1) * error)
    if error == 0 or between == 0:
        return value, None, None
    ratio, tail = between / error, 0.5 + level / 2
    low = ratio / float(fdtri(df_between, df_error, tail))
    high = ratio * float(fdtri(df_error, df_between, tail))
    return value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _absolute(squares: MeanSquares, level: float) -> Figures:
    """Return ICC(2,1), whose limits take the degrees of freedom of its error by Satterthwaite's approximation."""
    n, k = squares.targets, squares.readers
    rows, columns, error = squares.between_targets, squares.between_readers, squares.residual
    whole = rows + (k - 1) * error + k * (columns - error) / n
    if not whole > 0:
        return None, None, None
    value = (rows - error) / whole
    if value >= 1 or rows == 0:
        return value, None, None
    a = k * value / (n * (1 - value))
    b = 1 + a * (n - 1)
    spread = (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    degrees = (a * columns + b * error) ** 2 / spread if spread > 0 else 0.0
    if not degrees > 0:
        return value, None, None
    tail = 0.5 + level / 2
    lower, upper = float(fdtri(n - 1, degrees, tail)), float(fdtri(degrees, n - 1, tail))
    rest = k * columns + (k * n - k - n) * error
    return (
        value,
        n * (rows - lower * error) / (lower * rest + n * rows),
        (n * (upper * rows - error) / (rest + n * upper * rows)),
    )


def _of_mean(value: float | None, k: int) -> float | None:
    """Return the correlation of the mean of k readers; None where it has none (a value below −1 / (k − 1))."""
    if value is None:
        return None
    whole = 1 + (k - 1) * value
    return k * value / whole if whole > 1e-12 else None


def _estimate(form: str, value: float | None, low: float | None, high: float | None, level: float) -> Estimate:
    if value is None:
        return Estimate(None, form, reason="the figures do not vary between targets")
    # Satterthwaite's approximation fails on tables with hardly any variation between targets.
    if low is None or high is None or not low <= value <= high:
        return Estimate(value, form)
    return Estimate(value, form, (Interval(low, high, level, METHOD),))
