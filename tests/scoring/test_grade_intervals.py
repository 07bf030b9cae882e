"""Intervals of blocks of the shares of grades, of all cells and of H-scores: exact ends, rare grades, hidden tails."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.bootstrap import BOOTSTRAP_SEED, block_intervals
from ihc_quant.scoring.resampling import THIRDS, TOTAL, draw_blocks, scale_ratio, studentised_ends
from ihc_quant.scoring.same_call import unseen_limit


def blocks_of(grades: NDArray[np.int64]) -> BlockCounts:
    return BlockCounts(np.ones(len(grades), np.int64), grades, np.full(len(grades), 62_500.0))


def varied(seed: int = 1, number: int = 30) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return np.stack([rng.poisson(mean, number) for mean in (70, 20, 10, 5)], axis=1).astype(np.int64)


def test_every_grade_and_all_cells_have_an_interval_that_holds_the_figure() -> None:
    grades = varied()
    given = block_intervals(blocks_of(grades))
    shares = grades.sum(axis=0) / grades.sum()
    for interval, share in zip(given.grades, shares[1:], strict=True):
        assert interval is not None
        assert 0 < interval.low < share < interval.high < 1
    cells = given.cell_density_per_mm2
    assert cells is not None
    assert cells.low < grades.sum() / (30 * 0.0625) < cells.high


def test_a_grade_that_is_not_seen_or_the_only_one_has_the_exact_limit() -> None:
    grades = varied()
    grades[:, 3] = 0
    blocks = blocks_of(grades)
    none = block_intervals(blocks).grades[2]
    assert none is not None
    assert (none.low, none.high) == (0.0, unseen_limit(blocks))
    only = np.zeros((30, 4), np.int64)
    only[:, 2] = 10
    _, every, _ = block_intervals(blocks_of(only)).grades
    assert every is not None
    assert (every.low, every.high) == (1 - unseen_limit(blocks_of(only)), 1.0)


def test_a_grade_seen_in_few_blocks_reaches_to_the_limit_of_one_not_seen() -> None:
    grades = varied()
    grades[:, 3] = 0
    grades[0, 3] = 2
    blocks = blocks_of(grades)
    rare = block_intervals(blocks).grades[2]
    assert rare is not None
    assert rare.high >= unseen_limit(blocks)


def own_tail(blocks: BlockCounts) -> tuple[float, float]:
    """Return the limits of the H-score by its own degrees of freedom alone."""
    drawn = draw_blocks(blocks, 2000, np.random.Generator(np.random.PCG64(BOOTSTRAP_SEED)))
    scaled = scale_ratio(drawn, THIRDS, TOTAL, bounded=True)
    assert scaled is not None
    ends = studentised_ends(replace(scaled), 0.95)
    assert ends is not None
    low, high = 300 * expit(ends)
    return float(low), float(high)


def test_an_h_score_whose_strong_cells_lie_in_few_blocks_is_known_less() -> None:
    grades = varied()
    grades[:, 3] = 0
    grades[[3, 11, 12, 20, 27], 3] = (40, 3, 1, 2, 1)
    given = block_intervals(blocks_of(grades)).h_score
    low, high = own_tail(blocks_of(grades))
    assert given is not None
    assert given.low < low < high < given.high
    even = varied()
    given, (low, high) = block_intervals(blocks_of(even)).h_score, own_tail(blocks_of(even))
    assert given is not None
    assert (given.low, given.high) == pytest.approx((low, high), rel=0.02)
