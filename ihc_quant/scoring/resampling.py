"""Drawing blocks of tissue with replacement, and studentised limits of ratios of sums over the blocks drawn.

``ihc_quant.scoring.bootstrap`` says why; here is how.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.effective_blocks import (
    Neighbours,
    degrees_of_freedom,
    find_neighbours,
    level_inflation,
    variance_inflation,
)

HALF_CELL_ERROR = 2**0.5
"""Standard error, on the log and logit scale, of a draw without a positive cell, which stands as half a cell:
1 / √0.5."""

POSITIVE, TOTAL, THIRDS, AREA, ONE_PLUS, TWO_PLUS, THREE_PLUS = range(7)
"""Sums of a draw: positive cells, all cells, H-score / 300 over cells, mm², and cells of each positive grade."""

FIGURES = 7

PRODUCTS: tuple[tuple[int, int], ...] = (
    *((figure, figure) for figure in range(FIGURES)),
    *((figure, TOTAL) for figure in (POSITIVE, THIRDS, ONE_PLUS, TWO_PLUS, THREE_PLUS)),
    *((figure, AREA) for figure in (POSITIVE, TOTAL)),
)
"""Products of two figures that the error of a ratio of their sums wants; no others are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Sums over the blocks of each draw, fragment by fragment; draw 0 is the section as it is.

    Attributes
    ----------
    size : ndarray, shape (s,), int64
        Blocks in each stratum.
    first : ndarray, shape (s, draws + 1, 7), float64
        From ``POSITIVE`` to ``THREE_PLUS``.
    second : ndarray, shape (s, draws + 1, len(PRODUCTS)), float64
        Sums of the products of two of them.
    values : ndarray, shape (b, 7), float64
        The same figures of each block as it is.
    stratum : ndarray, shape (b,), int64
        Of each block, from 0.
    neighbours : Neighbours
        Blocks that touch.
    level : ndarray, shape (b,), int64, or None
        As in ``BlockCounts``.
    """

    size: NDArray[np.int64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    values: NDArray[np.float64]
    stratum: NDArray[np.int64]
    neighbours: Neighbours
    level: NDArray[np.int64] | None = None

    def product(self, one: int, other: int) -> NDArray[np.float64]:
        """Return the sums (s, draws + 1) of the products of two figures."""
        return self.second[..., PRODUCTS.index((one, other))]


@dataclass(frozen=True, slots=True, eq=False)
class ScaledDraws:
    """A figure of each draw on a scale without ends; draw 0 is the section as it is.

    Attributes
    ----------
    value : float
        The figure itself, of the section as it is.
    scaled, error : ndarray, shape (draws + 1,), float64
        The figure on the log or logit scale and its standard error there.
    usable : ndarray, shape (draws + 1,), bool
        Draws that hold anything to divide by.
    inflation : float
        By how much the variance of the section as it is exceeds that of independent blocks.
    nominal_freedom, freedom : float
        Degrees of freedom of the error of independent blocks that all matter alike, for which drawing them accounts,
        and of the error as it is.
    """

    value: float
    scaled: NDArray[np.float64]
    error: NDArray[np.float64]
    usable: NDArray[np.bool_]
    inflation: float
    nominal_freedom: float
    freedom: float

    def over(self, other: "ScaledDraws") -> "ScaledDraws":
        """Return the ratio of two figures of independent sections, both on the log scale."""
        plain = np.array([self.error[0], other.error[0]]) ** 2
        inflated = plain * [self.inflation, other.inflation]
        return ScaledDraws(
            self.value / other.value,
            self.scaled - other.scaled,
            np.hypot(self.error, other.error),
            self.usable & other.usable,
            float(inflated.sum() / plain.sum()),
            _joint_freedom(plain, (self.nominal_freedom, other.nominal_freedom)),
            _joint_freedom(inflated, (self.freedom, other.freedom)),
        )


def _joint_freedom(variance: NDArray[np.float64], freedom: tuple[float, float]) -> float:
    """Return the degrees of freedom of a sum of variances (Welch and Satterthwaite)."""
    return float(variance.sum() ** 2 / (variance**2 / freedom).sum())


def draw_blocks(blocks: BlockCounts, draws: int, random: np.random.Generator) -> Draws:
    """Draw the blocks of each stratum with replacement, as many as there are."""
    grades = blocks.grades.astype(np.float64)
    values = np.stack(
        [
            grades[:, 1:].sum(axis=1), grades.sum(axis=1), grades @ np.arange(4) / 3, blocks.area_um2 / 1e6,
            *grades[:, 1:].T,
        ],
        axis=1,
    )  # fmt: skip
    stratum = _strata(blocks.fragment)
    size, first, second = [], [], []
    for number in range(int(stratum.max()) + 1):
        rows = values[stratum == number]
        k = len(rows)
        columns = np.concatenate([rows, *(rows[:, [one]] * rows[:, [other]] for one, other in PRODUCTS)], axis=1)
        sums = [columns.sum(axis=0, keepdims=True)]
        at_once = max(1, 4_000_000 // k)
        sums += [_times(k, min(at_once, draws - begun), random) @ columns for begun in range(0, draws, at_once)]
        drawn = np.concatenate(sums)
        size.append(k)
        first.append(drawn[:, :FIGURES])
        second.append(drawn[:, FIGURES:])
    return Draws(
        np.array(size), np.stack(first), np.stack(second), values, stratum, find_neighbours(blocks), blocks.level
    )


def _times(blocks: int, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each draw (row) holds each of as many blocks; some ten times faster than a multinomial."""
    drawn = random.integers(0, blocks, (draws, blocks)) + np.arange(0, draws * blocks, blocks)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * blocks).reshape(draws, blocks).astype(np.float64)


def _strata(fragment: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stratum of each block, from 0: its fragment, but fragments of one block are drawn together.

    A stratum of a single block would give the same in every draw and hide its part of the variation; where only one
    such fragment exists, it joins the smallest of the others.
    """
    numbers, index, blocks = np.unique(fragment, return_inverse=True, return_counts=True)
    target = np.arange(len(numbers))
    single = blocks == 1
    if single.sum() > 1:
        target[single] = target[single][0]
    elif single.sum() == 1 and len(numbers) > 1:
        target[single] = np.argmin(np.where(single, np.iinfo(np.int64).max, blocks))
    return np.unique(target[index.ravel()], return_inverse=True)[1].ravel().astype(np.int64)


def scale_ratio(drawn: Draws, numerator: int, denominator: int, bounded: bool) -> ScaledDraws | None:
    """Return a ratio of sums of each draw, on the logit scale where ``bounded`` (0 to 1) and on the log scale else.

    None where the figure stands at an end of its range, where there is nothing to divide by, and where all blocks
    agree.
    """
    x, m = drawn.first[..., numerator], drawn.first[..., denominator]
    sum_x, sum_m = x.sum(axis=0), m.sum(axis=0)
    usable = sum_m > 0
    if not usable[0] or sum_x[0] <= 0 or (bounded and sum_x[0] >= sum_m[0]):
        return None
    safe_m = np.where(usable, sum_m, 1.0)
    ratio = sum_x / safe_m
    k = drawn.size[:, None].astype(np.float64)
    square = (
        drawn.product(numerator, numerator)
        - 2 * ratio * drawn.product(numerator, denominator)
        + ratio**2 * drawn.product(denominator, denominator)
    )
    variance = np.maximum(square - (x - ratio * m) ** 2 / k, 0) * k / (k - 1)
    error = np.sqrt(variance.sum(axis=0)) / safe_m
    if error[0] <= 1e-6 * ratio[0]:
        return None
    at_end = (sum_x <= 0) | (bounded & (sum_x >= sum_m))
    half = 0.5 / safe_m
    inside = np.clip(ratio, half, 1 - half) if bounded else np.maximum(ratio, half)
    scaled = np.log(inside / (1 - inside)) if bounded else np.log(inside)
    slope = 1 / (inside * (1 - inside)) if bounded else 1 / inside
    scaled_error = np.where(at_end, HALF_CELL_ERROR, error * slope)
    residual = _residuals(drawn, numerator, denominator, float(ratio[0]))
    # Of a figure with two ends the rarer cells are those that lie in few blocks.
    rarer = float(min(sum_x[0], sum_m[0] - sum_x[0]) if bounded else sum_x[0])
    inflation = variance_inflation(residual, drawn.stratum, drawn.neighbours) * level_inflation(residual, drawn.level)
    nominal = float(np.sum(drawn.size - 1))
    # Levels that are alike tell no more of the standard error than one of them, though blocks of all are drawn.
    of_one = nominal if drawn.level is None else nominal / len(np.unique(drawn.level))
    freedom = min(degrees_of_freedom(residual, inflation, _variation(residual, rarer)), of_one)
    return ScaledDraws(float(ratio[0]), scaled, scaled_error, usable, inflation, nominal, freedom)


def _residuals(drawn: Draws, numerator: int, denominator: int, ratio: float) -> NDArray[np.float64]:
    """Return the residuals of a ratio of sums, of mean 0 in each stratum."""
    residual = drawn.values[:, numerator] - ratio * drawn.values[:, denominator]
    means = np.bincount(drawn.stratum, residual) / drawn.size
    centred: NDArray[np.float64] = residual - means[drawn.stratum]
    return centred


def _variation(residual: NDArray[np.float64], held: float) -> float:
    """Return the standard deviation of the residuals over the mean of what blocks hold together."""
    blocks = len(residual)
    return float(np.sqrt(np.sum(residual**2) / (blocks - 1))) / (held / blocks)


def studentised_ends(draws: ScaledDraws, level: float) -> tuple[float, float] | None:
    """Return the limits on the scale of the draws; None where too few draws say anything."""
    told = draws.usable[1:] & (draws.error[1:] > 1e-9)
    if told.mean() < 0.5:
        return None
    deviation = (draws.scaled[1:][told] - draws.scaled[0]) / draws.error[1:][told]
    tail = (1 - level) / 2
    lower, upper = np.quantile(deviation, [tail, 1 - tail])
    wider = stdtrit(draws.freedom, 1 - tail) / stdtrit(draws.nominal_freedom, 1 - tail)
    error = draws.error[0] * np.sqrt(draws.inflation) * wider
    low, high = draws.scaled[0] - np.array([upper, lower]) * error
    return float(low), float(high)
