"""Spatial block bootstrap: intervals that know that neighbouring cells are alike.

Blocks of tissue are drawn with replacement within each fragment, and every figure is a ratio of sums over the blocks
drawn. The interval is studentised on a transformed scale: each draw's deviation is divided by that draw's own standard
error (of a ratio of sums, from the blocks' residuals within fragments), on the logit scale for figures with an upper
bound and on the log scale for densities, so that no limit leaves the possible range (Davison and Hinkley 1997,
Bootstrap Methods, 10.1017/CBO9780511802843, sections 2.4 and 5.2).

Why studentised: in a simulation of clustered cells (400 sections each, blocks of 60 cells on average, true fraction
0.05 to 0.8, correlation within blocks 0.02 and 0.2) nominal 95 % intervals held the truth

=========  ============  ============  ============  ============
blocks     Wilson        percentile    BCa           studentised
=========  ============  ============  ============  ============
10         0.32 to 0.75  0.74 to 0.89  0.75 to 0.88  0.83 to 0.93
20         0.32 to 0.77  0.79 to 0.91  0.82 to 0.90  0.87 to 0.96
40         0.24 to 0.74  0.88 to 0.94  0.87 to 0.93  0.93 to 0.94
160        0.29 to 0.75  0.91 to 0.96  0.91 to 0.96  0.92 to 0.95
=========  ============  ============  ============  ============

The lowest figures are those of 5 % positive cells in strongly clustered tissue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ihc_quant.domain.score import Interval
from ihc_quant.scoring.blocks import BlockCounts

MIN_BLOCKS = 20
"""Fewer blocks make an interval unreliable (see the table above)."""

FEWEST_BLOCKS = 5
"""With fewer blocks there is no interval at all: most draws then repeat a few combinations."""

BOOTSTRAP_DRAWS = 2000
"""Draws; their own noise then moves a limit by a few hundredths of the interval's width."""

BOOTSTRAP_SEED = 20040
"""Seed of the draws, so that the same table always gives the same page."""

HALF_CELL_ERROR = 2**0.5
"""Standard error, on the log and logit scale, of a draw without a positive cell, which stands as half a cell:
1 / √0.5."""

_POSITIVE, _TOTAL, _THIRDS, _AREA = range(4)


@dataclass(frozen=True, slots=True)
class BlockIntervals:
    """Block-bootstrap intervals of one section; None where drawing blocks says nothing.

    Attributes
    ----------
    fraction : Interval or None
        Of the positive fraction.
    density_per_mm2 : Interval or None
        Of the density of positive cells.
    h_score : Interval or None
    """

    fraction: Interval | None
    density_per_mm2: Interval | None
    h_score: Interval | None


def block_intervals(
    blocks: BlockCounts,
    *,
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
    min_blocks: int = MIN_BLOCKS,
) -> BlockIntervals:
    """Return the block-bootstrap intervals of the three figures of a section.

    Parameters
    ----------
    blocks : BlockCounts
        Blocks of the section.
    level : float
        Confidence.
    draws : int
        Resamples.
    seed : int
        Of the generator.
    min_blocks : int
        Fewer blocks make the intervals unreliable; the note then says so.

    Returns
    -------
    BlockIntervals
        An interval is None where there are fewer than ``FEWEST_BLOCKS`` blocks, where a figure stands at the end of
        its range (no positive cell, or nothing else), and where all blocks agree: the draws then do not differ.
    """
    if len(blocks) < FEWEST_BLOCKS:
        return BlockIntervals(None, None, None)
    drawn = _draw(blocks, draws, np.random.Generator(np.random.PCG64(seed)))
    note = "" if len(blocks) >= min_blocks else f"{len(blocks)} blocks; at least {min_blocks} are wanted"
    method = f"spatial block bootstrap, studentised, {draws} draws of {len(blocks)} blocks"

    def interval(numerator: int, denominator: int, bounded: bool, scale: float) -> Interval | None:
        limits = _studentised(drawn, numerator, denominator, bounded, level)
        if limits is None:
            return None
        return Interval(limits[0] * scale, limits[1] * scale, level, method, not note, note)

    return BlockIntervals(
        fraction=interval(_POSITIVE, _TOTAL, True, 1.0),
        density_per_mm2=interval(_POSITIVE, _AREA, False, 1.0),
        h_score=interval(_THIRDS, _TOTAL, True, 300.0),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Sums over the blocks of each draw, fragment by fragment; draw 0 is the section as it is.

    Attributes
    ----------
    size : (s,) blocks in each stratum
    first : (s, draws + 1, 4) sums of positive cells, all cells, H-score / 300, and mm²
    second : (s, draws + 1, 4, 4) sums of their products
    """

    size: NDArray[np.int64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


def _draw(blocks: BlockCounts, draws: int, random: np.random.Generator) -> _Draws:
    """Draw the blocks of each stratum with replacement, as many as there are."""
    grades = blocks.grades.astype(np.float64)
    values = np.stack(
        [grades[:, 1:].sum(axis=1), grades.sum(axis=1), grades @ np.arange(4) / 3, blocks.area_um2 / 1e6], axis=1
    )
    stratum = _strata(blocks.fragment)
    size, first, second = [], [], []
    for number in range(int(stratum.max()) + 1):
        rows = values[stratum == number]
        k = len(rows)
        columns = np.concatenate([rows, (rows[:, :, None] * rows[:, None, :]).reshape(k, 16)], axis=1)
        sums = [columns.sum(axis=0, keepdims=True)]
        at_once = max(1, 4_000_000 // k)
        for begun in range(0, draws, at_once):
            times = random.multinomial(k, np.full(k, 1 / k), size=min(at_once, draws - begun))
            sums.append(times @ columns)
        drawn = np.concatenate(sums)
        size.append(k)
        first.append(drawn[:, :4])
        second.append(drawn[:, 4:].reshape(-1, 4, 4))
    return _Draws(np.array(size), np.stack(first), np.stack(second))


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


def _studentised(
    drawn: _Draws, numerator: int, denominator: int, bounded: bool, level: float
) -> tuple[float, float] | None:
    """Return the limits of a ratio of sums; ``bounded`` ones lie between 0 and 1."""
    x, m = drawn.first[..., numerator], drawn.first[..., denominator]
    sum_x, sum_m = x.sum(axis=0), m.sum(axis=0)
    usable = sum_m > 0
    if not usable[0] or sum_x[0] <= 0 or (bounded and sum_x[0] >= sum_m[0]):
        return None
    safe_m = np.where(usable, sum_m, 1.0)
    ratio = sum_x / safe_m
    k = drawn.size[:, None].astype(np.float64)
    products = drawn.second
    square = (
        products[..., numerator, numerator]
        - 2 * ratio * products[..., numerator, denominator]
        + ratio**2 * products[..., denominator, denominator]
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
    told = usable[1:] & (scaled_error[1:] > 1e-9)
    if told.mean() < 0.5:
        return None
    deviation = (scaled[1:][told] - scaled[0]) / scaled_error[1:][told]
    tail = (1 - level) / 2
    lower, upper = np.quantile(deviation, [tail, 1 - tail])
    ends = scaled[0] - np.array([upper, lower]) * scaled_error[0]
    low, high = expit(ends) if bounded else np.exp(np.minimum(ends, 700.0))
    # Few and skewed blocks can leave all deviations on one side; the limits still enclose the figure.
    return min(float(low), float(ratio[0])), max(float(high), float(ratio[0]))
