"""Spatial block bootstrap: intervals that know that neighbouring cells are alike.

Blocks of tissue are drawn with replacement within each fragment, and every figure is a ratio of sums over the blocks
drawn. The interval is studentised on a transformed scale: each draw's deviation is divided by that draw's own standard
error (of a ratio of sums, from the blocks' residuals within fragments), on the logit scale for figures with an upper
bound and on the log scale for densities, so that no limit leaves the possible range (Davison and Hinkley 1997,
Bootstrap Methods, 10.1017/CBO9780511802843, sections 2.4 and 5.2).

Blocks are not independent either: the standard error of the section as it is also holds how alike neighbouring blocks
are, and the limits how few of them matter (``ihc_quant.scoring.effective_blocks``). Where all cells have the same call
no draw differs, and the exact limit of as many blocks is given (``ihc_quant.scoring.same_call``); where a
call was seen in fewer than five blocks the interval reaches to that limit too.

Why studentised: in a simulation of cells clustered within independent blocks (400 sections each, blocks of 60 cells on
average, true fraction 0.05 to 0.8, correlation within blocks 0.02 and 0.2) nominal 95 % intervals, without what
neighbours and few blocks add, held the truth

=========  ============  ============  ============  ============
blocks     Wilson        percentile    BCa           studentised
=========  ============  ============  ============  ============
10         0.32 to 0.75  0.74 to 0.89  0.75 to 0.88  0.83 to 0.93
20         0.32 to 0.77  0.79 to 0.91  0.82 to 0.90  0.87 to 0.96
40         0.24 to 0.74  0.88 to 0.94  0.87 to 0.93  0.93 to 0.94
160        0.29 to 0.75  0.91 to 0.96  0.91 to 0.96  0.92 to 0.95
=========  ============  ============  ============  ============

The lowest figures are those of 5 % positive cells in strongly clustered tissue. ``docs/coverage.md`` tables the
intervals as they are now, on fields that run through blocks.
"""

from dataclasses import dataclass, replace
from math import exp

import numpy as np
from scipy.special import expit

from ihc_quant.domain.score import CellCounts, Interval
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.resampling import (
    AREA,
    ONE_PLUS,
    POSITIVE,
    THIRDS,
    THREE_PLUS,
    TOTAL,
    TWO_PLUS,
    Draws,
    ScaledDraws,
    draw_blocks,
    scale_ratio,
    studentised_ends,
)
from ihc_quant.scoring.same_call import effective_number, unseen_limit

MIN_BLOCKS = 20
"""Fewer blocks make an interval unreliable. In ``docs/coverage.md`` the lowest coverage is 0.92 at 20 blocks and from 5
on; patches of 500 µm bring it to 0.90 at 20, so the limit is not set lower."""

FEWEST_BLOCKS = 5
"""With fewer blocks there is no interval at all: most draws then repeat a few combinations."""

BOOTSTRAP_DRAWS = 2000
"""Draws; their own noise then moves a limit by a few hundredths of the interval's width."""

BOOTSTRAP_SEED = 20040
"""Seed of the draws, so that the same table always gives the same page."""

SPATIAL_METHOD = "spatial block"
"""How the method of an interval begins that takes blocks, not cells, as the units."""

POSITIVE_GRADES = slice(1, None)
"""Columns of ``BlockCounts.grades``."""

LARGEST_LOG = 700.0
"""Limits on the log scale are held within this, so that no limit is infinite or 0."""


@dataclass(frozen=True, slots=True)
class BlockIntervals:
    """Intervals of one section that take blocks as the units; None where blocks say nothing.

    Attributes
    ----------
    fraction : Interval or None
        Of the positive fraction.
    density_per_mm2 : Interval or None
        Of the density of positive cells.
    h_score : Interval or None
    cell_density_per_mm2 : Interval or None
        Of the density of all cells.
    grades : tuple of Interval or None
        Of the fractions of cells that are 1+, 2+ and 3+.
    """

    fraction: Interval | None
    density_per_mm2: Interval | None
    h_score: Interval | None
    cell_density_per_mm2: Interval | None = None
    grades: tuple[Interval | None, Interval | None, Interval | None] = (None, None, None)


def block_intervals(
    blocks: BlockCounts,
    *,
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
    min_blocks: int = MIN_BLOCKS,
) -> BlockIntervals:
    """Return the block-bootstrap intervals of the figures of a section.

    Parameters
    ----------
    blocks : BlockCounts
        Blocks of the section, or of levels of one block of tissue: these are taken as wholly alike, so that several
        are known no better than one of them (``level_inflation``), and blocks count by ``BlockCounts.counting``.
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
        An interval is None where there are fewer than ``FEWEST_BLOCKS`` blocks or no cells, and where the draws do not
        differ: all blocks agree, or an H-score stands at 300. Without a positive cell all but the density of cells, and
        with no other the fraction, have the exact limits of ``unseen_limit``; with a call in fewer than
        ``FEWEST_BLOCKS`` blocks they reach to these. So do the fractions of grades.
    """
    counts = blocks.total()
    counting = blocks.counting()
    if counting < FEWEST_BLOCKS or not counts.total:
        return BlockIntervals(None, None, None)
    on_a_level = " on a level" if blocks.level is not None else ""
    note = "" if counting >= min_blocks else f"{counting} blocks{on_a_level}; at least {min_blocks} are wanted"
    drawn = draw_blocks(blocks, draws, np.random.Generator(np.random.PCG64(seed)))
    method = f"{SPATIAL_METHOD} bootstrap, studentised, {draws} draws of {_named(blocks)}"

    def between(limits: tuple[float, float] | None, scale: float = 1.0) -> Interval | None:
        return limits and Interval(limits[0] * scale, limits[1] * scale, level, method, not note, note)

    def interval(numerator: int, denominator: int, bounded: bool) -> Interval | None:
        return between(_limits(scale_ratio(drawn, numerator, denominator, bounded), bounded, level))

    limit = unseen_limit(blocks, level)

    def share(numerator: int, grades: slice) -> Interval | None:
        """Return the interval of a fraction of cells, never narrower than where none, or no other, is seen."""
        found = int(blocks.grades[:, grades].sum())
        if found in (0, counts.total):
            low, high = (0.0, limit) if found == 0 else (1 - limit, 1.0)
            return Interval(low, high, level, _exact_method(blocks), not note, note)
        given = interval(numerator, TOTAL, True)
        if _seen_in(blocks, grades) < FEWEST_BLOCKS:
            given = _reaching(given, high=limit)
        others = blocks.counting(blocks.grades.sum(axis=1) > blocks.grades[:, grades].sum(axis=1))
        return _reaching(given, low=1 - limit) if others < FEWEST_BLOCKS else given

    one, two, three = (
        share(figure, slice(grade, grade + 1)) for grade, figure in enumerate((ONE_PLUS, TWO_PLUS, THREE_PLUS), 1)
    )
    cells = interval(TOTAL, AREA, False) if counts.area_um2 else None
    unseen = _none_positive(blocks, counts, level, note)
    if counts.positive:
        positive, h_score = interval(POSITIVE, AREA, False), between(_h_score_limits(drawn, level), 300.0)
        if _seen_in(blocks, POSITIVE_GRADES) < FEWEST_BLOCKS:
            # What was seen in one block says no more of how rare it is than having seen none.
            positive, h_score = _reaching(positive, high=_high(unseen[0])), _reaching(h_score, high=_high(unseen[1]))
    else:
        positive, h_score = unseen
    return BlockIntervals(share(POSITIVE, POSITIVE_GRADES), positive, h_score, cells, (one, two, three))


def _high(interval: Interval | None) -> float:
    return -np.inf if interval is None else interval.high


def _seen_in(blocks: BlockCounts, grades: slice) -> int:
    """Return how many blocks hold a cell of these grades."""
    return blocks.counting(blocks.grades[:, grades].sum(axis=1) > 0)


def _named(blocks: BlockCounts, *, unit: str = " blocks") -> str:
    """Return how many blocks there are, in words."""
    levels = "" if blocks.level is None else f" of {len(np.unique(blocks.level))} levels taken as alike"
    return f"{len(blocks)}{unit}{levels}"


def _reaching(interval: Interval | None, low: float = np.inf, high: float = -np.inf) -> Interval | None:
    """Return an interval that reaches down to ``low`` and up to ``high`` at least, and says so where it did not."""
    if interval is None or (interval.low <= low and interval.high >= high):
        return interval
    method = f"{interval.method}, reaching to the exact limit of a call that is not seen"
    return replace(interval, low=min(interval.low, low), high=max(interval.high, high), method=method)


def _none_positive(
    blocks: BlockCounts, counts: CellCounts, level: float, note: str
) -> tuple[Interval | None, Interval]:
    """Return the intervals of density and H-score without a positive cell: as dense as cells are, and at most 3+."""
    limit, method = unseen_limit(blocks, level), _exact_method(blocks)

    def up_to(most: float) -> Interval:
        return Interval(0.0, limit * most, level, method, not note, note)

    density = up_to(counts.total / (counts.area_um2 / 1e6)) if counts.area_um2 else None
    return density, up_to(300.0)


def _exact_method(blocks: BlockCounts) -> str:
    counting = f"{_named(blocks, unit='')} that count as {effective_number(blocks):.1f}"
    return f"{SPATIAL_METHOD}s as units, exact binomial (Clopper–Pearson), {counting}"


def ratio_interval(
    numerator: BlockCounts,
    denominator: BlockCounts,
    *,
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
    streams: tuple[int, int] = (0, 1),
    min_blocks: int = MIN_BLOCKS,
) -> Interval | None:
    """Return the block-bootstrap interval of the ratio of two sections' densities of positive cells.

    Blocks are drawn within the fragments of each section, and the two sections independently: blocks of different
    sections are not matched. The deviation of a draw's log ratio is divided by its own standard error, the root of the
    sum of both sections' squared errors.

    Parameters
    ----------
    numerator, denominator : BlockCounts
        Blocks of each section.
    level, draws, seed, min_blocks
        As in ``block_intervals``; ``min_blocks`` holds for each section.
    streams : tuple of int
        Two different numbers, one a section, that part the generators. A section that keeps its number when the ratio
        is turned over gives exactly the inverse limits.

    Returns
    -------
    Interval or None
        None where one of the sections has fewer than ``FEWEST_BLOCKS`` blocks, or no positive cell, or blocks that do
        not differ.

    Raises
    ------
    ValueError
        Where both sections have the same stream: the same blocks would be drawn in both.

    Notes
    -----
    In 400 simulated pairs of sections each (10, 20 or 40 blocks on either, 20 and 10 positive cells a block on average,
    densities of blocks gamma with shape 1, 4 and 20, 400 draws) nominal 95 % intervals held the true ratio in 0.93 to
    0.96.
    """
    if streams[0] == streams[1]:
        raise ValueError("two sections need two streams of random numbers")
    sections = (numerator, denominator)
    if min(map(len, sections)) < FEWEST_BLOCKS:
        return None
    scaled = [_log_density(blocks, draws, seed, stream) for blocks, stream in zip(sections, streams, strict=True)]
    if scaled[0] is None or scaled[1] is None:
        return None
    ratio = scaled[0].over(scaled[1])
    ends = studentised_ends(ratio, level)
    if ends is None:
        return None
    fewest = min(map(len, sections))
    note = "" if fewest >= min_blocks else f"{fewest} blocks on a section; at least {min_blocks} are wanted"
    method = (
        f"{SPATIAL_METHOD} bootstrap, studentised on the log scale, {draws} draws of {len(numerator)} and "
        f"{len(denominator)} blocks"
    )
    low, high = (exp(min(max(end, -LARGEST_LOG), LARGEST_LOG)) for end in ends)
    interval = Interval(min(low, ratio.value), max(high, ratio.value), level, method, not note, note)
    above, below = (_unseen_times(blocks, level) for blocks in sections)
    return _reaching(interval, low=ratio.value / below, high=ratio.value * above)


def _unseen_times(blocks: BlockCounts, level: float) -> float:
    """Return the limit of none over the density that was seen; 1 where enough blocks hold positive cells."""
    if _seen_in(blocks, POSITIVE_GRADES) >= FEWEST_BLOCKS:
        return 1.0
    counts = blocks.total()
    return max(1.0, unseen_limit(blocks, level) * counts.total / counts.positive)


def _log_density(blocks: BlockCounts, draws: int, seed: int, stream: int) -> ScaledDraws | None:
    random = np.random.Generator(np.random.PCG64([seed, stream]))
    return scale_ratio(draw_blocks(blocks, draws, random), POSITIVE, AREA, bounded=False)


def _h_score_limits(drawn: Draws, level: float) -> tuple[float, float] | None:
    """Return the limits of an H-score over 300.

    It rests on the cells that count most, and these lie in fewer blocks than others: a section that missed their
    patches does not show in its H-scores by block how far these reach. The squared coefficient of variation of its
    variance, 2 / ν, is therefore taken half-way between its own and that of the share of the strongest grade there is.
    """
    scaled = scale_ratio(drawn, THIRDS, TOTAL, bounded=True)
    strongest = next((grade for grade in (THREE_PLUS, TWO_PLUS) if drawn.values[:, grade].any()), None)
    share = None if strongest is None else scale_ratio(drawn, strongest, TOTAL, bounded=True)
    if scaled is not None and share is not None:
        freedom = 2 / (1 / scaled.freedom + 1 / share.freedom)
        scaled = replace(scaled, freedom=min(scaled.freedom, freedom))
    return _limits(scaled, True, level)


def _limits(scaled: ScaledDraws | None, bounded: bool, level: float) -> tuple[float, float] | None:
    """Return the limits of a ratio of sums; ``bounded`` ones lie between 0 and 1."""
    ends = None if scaled is None else studentised_ends(scaled, level)
    if scaled is None or ends is None:
        return None
    low, high = expit(ends) if bounded else np.exp(np.minimum(ends, LARGEST_LOG))
    # Few and skewed blocks can leave all deviations on one side; the limits still enclose the figure.
    return min(float(low), scaled.value), max(float(high), scaled.value)
