"""What blocks say together: less than as many independent ones where neighbours are alike or few of them matter.

A bootstrap that draws blocks one by one takes them as independent. Where patches of stain are as wide as a block they
are not; where a few blocks hold most of the positive cells, even the standard error rests on these few. Both are read
from the residuals of the blocks: how alike those of neighbours are, and how heavy the tails are. A few blocks do not
show how heavy, least of all where they missed the crowded ones, so a gamma distribution that varies as much speaks
too. ``docs/coverage.md`` tables what that mends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.scoring.blocks import BlockCounts

REFERENCE_BLOCKS = 20.0
"""As many blocks of a gamma distribution stand beside those of the section where the tails are judged. Chosen on
simulated sections of another seed than those of ``docs/coverage.md``; 10 and 30 do nearly as well."""

FEWEST_FREEDOM = 2.0
"""Degrees of freedom are not taken as fewer: Student's 97.5 % quantile is then 4.3, and grows without limit below."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pairs of blocks of one fragment that touch.

    Attributes
    ----------
    sides : ndarray, shape (n, 2), int64
        Indices of blocks that share a side.
    corners : ndarray, shape (m, 2), int64
        Indices of blocks that share a corner only.
    """

    sides: NDArray[np.int64]
    corners: NDArray[np.int64]


def find_neighbours(blocks: BlockCounts) -> Neighbours:
    """Return the pairs of blocks that touch; none where the places of the blocks are not known."""
    none = np.zeros((0, 2), np.int64)
    if blocks.row is None or blocks.col is None:
        return Neighbours(none, none)
    places = zip(blocks.fragment.tolist(), blocks.row.tolist(), blocks.col.tolist(), strict=True)
    index_of = {place: index for index, place in enumerate(places)}

    def pairs(*steps: tuple[int, int]) -> NDArray[np.int64]:
        found = [
            (index, index_of[fragment, row + down, col + right])
            for (fragment, row, col), index in index_of.items()
            for down, right in steps
            if (fragment, row + down, col + right) in index_of
        ]
        return np.array(found, np.int64).reshape(-1, 2)

    return Neighbours(pairs((0, 1), (1, 0)), pairs((1, 1), (1, -1)))


def variance_inflation(residual: NDArray[np.float64], stratum: NDArray[np.int64], neighbours: Neighbours) -> float:
    """Return by how much the likeness of neighbours raises the variance of a sum over blocks; at least 1.

    Parameters
    ----------
    residual : ndarray, shape (b,), float64
        Of each block, of mean 0 in each stratum; not all 0.
    stratum : ndarray, shape (b,), int64
        From 0, each of at least 2 blocks where there are several blocks.
    neighbours : Neighbours

    Notes
    -----
    1 + 2 (n r + m q) / b, with n pairs by a side of mean correlation r and m by a corner of mean correlation q, as in a
    heteroskedasticity and autocorrelation consistent variance cut off after the first neighbours (Conley 1999,
    10.1016/S0304-4076(98)00084-0). Residuals of independent blocks add up to 0 and so are correlated by −1 / (k − 1) in
    a stratum of k; that is added back. A sum below 1 is taken as chance. Either correlation may be below 0: cutting off
    each would leave what chance adds and drop what it takes away.

    Examples
    --------
    Four blocks in a row, two above the mean and then two below it: products of neighbours are 1, −1 and 1, their mean
    correlation 1/3, and 2/3 with 1/3 added back; 1 + 2 · 3 · 2/3 / 4.

    >>> row = Neighbours(np.array([[0, 1], [1, 2], [2, 3]]), np.zeros((0, 2), np.int64))
    >>> variance_inflation(np.array([1.0, 1.0, -1.0, -1.0]), np.zeros(4, np.int64), row)
    2.0
    """
    blocks = len(residual)
    mean_square = float(np.mean(residual**2))
    lost = 1 / np.maximum(np.bincount(stratum) - 1.0, 1.0)

    def alike(pairs: NDArray[np.int64]) -> float:
        """Return the number of pairs times their mean correlation."""
        first, second = pairs.T
        return float(np.sum(residual[first] * residual[second] / mean_square + lost[stratum[first]]))

    return max(1 + 2 * (alike(neighbours.sides) + alike(neighbours.corners)) / blocks, 1.0)


def level_inflation(residual: NDArray[np.float64], level: NDArray[np.int64] | None) -> float:
    """Return by how much the variance of a sum over levels of one block exceeds that of independent sections.

    Parameters
    ----------
    residual : ndarray, shape (b,), float64
        Of mean 0 in each stratum; not all 0.
    level : ndarray, shape (b,), int64, or None
        As in ``BlockCounts``.

    Notes
    -----
    Levels lie a few µm to some 100 µm apart and show the same follicles and infiltrates again; how alike they are is
    not known, because they are not registered. They are taken as wholly alike, the most there can be: standard errors
    then add, (Σ s)² in the place of Σ s².

    Examples
    --------
    Two levels that vary as much: their mean is known no better than one of them.

    >>> round(level_inflation(np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 0, 1, 1])), 12)
    2.0
    """
    if level is None:
        return 1.0
    variance = np.bincount(level, residual**2)
    return float(np.sqrt(variance).sum() ** 2 / variance.sum())


def degrees_of_freedom(residual: NDArray[np.float64], inflation: float, variation: float) -> float:
    """Return on how many degrees of freedom the standard error of a sum over blocks rests.

    Parameters
    ----------
    residual : ndarray, shape (b,), float64
        At least 4, of mean 0 and not all 0.
    inflation : float
        As ``variance_inflation`` returns it: b blocks then tell as much as b / inflation.
    variation : float
        Standard deviation of the residuals over the mean of what a block holds.

    Notes
    -----
    A variance of kurtosis κ is known from n values with a squared coefficient of variation of (κ − 1) / n, that of ν
    degrees of freedom with 2 / ν (Satterthwaite 1946, 10.2307/3002019): ν = 2 n / (κ − 1).

    The kurtosis of few values falls short of that of their distribution, the more so the heavier its tails; the excess
    is corrected as G₂ (Joanes and Gill 1998, 10.1111/1467-9884.00122) and joined with that of a gamma distribution of
    the same coefficient of variation c, 3 + 6 c², which weighs as ``REFERENCE_BLOCKS`` do: counts that cannot be below
    0 and vary by more than their mean have a long tail, whether or not a section holds blocks of it.

    Examples
    --------
    Ten of twenty blocks one above the mean and ten one below: G₂ is 1 − 4/17 − 3, so κ = 0.765; a gamma distribution of
    c = 0.5 has 4.5, half-way is 2.632, and 40 / 1.632 is 24.5.

    >>> round(degrees_of_freedom(np.array(10 * [1.0, -1.0]), 1.0, 0.5), 1)
    24.5
    """
    n = len(residual)
    excess = float(np.mean(residual**4) / np.mean(residual**2) ** 2) - 3
    own = 3 + (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6)
    kurtosis = (n * own + REFERENCE_BLOCKS * (3 + 6 * variation**2)) / (n + REFERENCE_BLOCKS)
    return max(2 * n / (kurtosis - 1) / inflation, FEWEST_FREEDOM)
