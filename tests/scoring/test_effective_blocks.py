"""Blocks that are alike or of which few matter tell less than as many independent ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.scoring.blocks import BlockCounts, count_blocks, cut_blocks
from ihc_quant.scoring.bootstrap import block_intervals
from ihc_quant.scoring.effective_blocks import (
    FEWEST_FREEDOM,
    Neighbours,
    degrees_of_freedom,
    find_neighbours,
    variance_inflation,
)


def grid_of_blocks(positive: NDArray[np.int64], fragment: NDArray[np.int64] | None = None) -> BlockCounts:
    """Return blocks of 100 cells on a grid; ``positive`` and ``fragment`` are (rows, columns)."""
    row, col = (place.ravel().astype(np.int64) for place in np.indices(positive.shape))
    number = np.ones(positive.size, np.int64) if fragment is None else fragment.ravel()
    grades = np.zeros((positive.size, 4), np.int64)
    grades[:, 0], grades[:, 1] = 100 - positive.ravel(), positive.ravel()
    return BlockCounts(number, grades, np.full(positive.size, 62_500.0), row, col)


def inflation_of(field: NDArray[np.float64]) -> float:
    """Return the inflation of a field of residuals on a grid."""
    blocks = grid_of_blocks(np.zeros(field.shape, np.int64))
    residual = field.ravel() - field.mean()
    return variance_inflation(residual, np.zeros(field.size, np.int64), find_neighbours(blocks))


def test_blocks_that_touch_within_a_fragment_are_neighbours() -> None:
    neighbours = find_neighbours(grid_of_blocks(np.zeros((4, 5), np.int64)))
    assert (len(neighbours.sides), len(neighbours.corners)) == (4 * 4 + 3 * 5, 2 * 3 * 4)
    assert len({tuple(sorted(pair)) for pair in neighbours.sides.tolist() + neighbours.corners.tolist()}) == 55
    halves = np.repeat([[1, 1, 2, 2, 2]], 4, axis=0)
    parted = find_neighbours(grid_of_blocks(np.zeros((4, 5), np.int64), halves))
    assert (len(parted.sides), len(parted.corners)) == (31 - 4, 24 - 6)


def test_blocks_without_places_have_no_neighbours() -> None:
    placed = grid_of_blocks(np.arange(20).reshape(4, 5))
    neighbours = find_neighbours(BlockCounts(placed.fragment, placed.grades, placed.area_um2))
    assert len(neighbours.sides) == len(neighbours.corners) == 0
    with pytest.raises(ValueError, match="one row, one column"):
        BlockCounts(placed.fragment, placed.grades, placed.area_um2, placed.row, np.zeros(3, np.int64))


def test_counted_blocks_know_their_places() -> None:
    tissue = cut_blocks(np.ones((20, 30), np.int16), 25.0)
    blocks = count_blocks(np.array([10.0]), np.array([300.0]), np.array([1], np.int16), np.array([1], np.int8), tissue)
    assert blocks.row is not None
    assert blocks.col is not None
    assert blocks.row[blocks.grades[:, 1] == 1].tolist() == [1]
    assert blocks.col[blocks.grades[:, 1] == 1].tolist() == [0]


def test_independent_blocks_are_hardly_inflated_and_alike_ones_by_what_their_sum_varies() -> None:
    rng = np.random.default_rng(4)
    independent, alike, variance = [], [], []
    for _ in range(200):
        noise = rng.normal(size=(13, 13))
        # Each block shares half of its value with each neighbour along a row: of three equal parts, two.
        mixed = (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]) / np.sqrt(3)
        independent.append(inflation_of(noise))
        alike.append(inflation_of(mixed))
        variance.append(mixed.sum() ** 2 / mixed.size)
    assert 1 <= np.mean(independent) < 1.2
    # First neighbours alone: 1 + 2 · 2/3, less the edge; those two blocks away are left out.
    assert np.mean(alike) == pytest.approx(1 + 2 * (2 / 3) * 10 / 11, abs=0.15)
    assert np.mean(alike) < np.mean(variance) * 1.2


def test_unlike_neighbours_never_narrow() -> None:
    board = np.indices((6, 6)).sum(axis=0) % 2 - 0.5
    assert inflation_of(board) == 1
    none = Neighbours(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))
    assert variance_inflation(np.array([1.0, -1.0]), np.zeros(2, np.int64), none) == 1


def test_few_blocks_that_matter_leave_few_degrees_of_freedom() -> None:
    even = np.random.default_rng(1).normal(size=2000)
    even -= even.mean()
    assert degrees_of_freedom(even, 1.0, 0.3) == pytest.approx(2000, rel=0.15)
    assert degrees_of_freedom(even, 2.0, 0.3) == pytest.approx(degrees_of_freedom(even, 1.0, 0.3) / 2)
    one = np.full(50, -1.0)
    one[0] = 49
    assert degrees_of_freedom(one, 1.0, 7.0) == FEWEST_FREEDOM


def test_few_blocks_that_vary_by_more_than_their_mean_are_taken_to_hide_a_tail() -> None:
    few, many = np.resize([1.0, -1.0], 20), np.resize([1.0, -1.0], 2000)
    narrow, wide = (degrees_of_freedom(few, 1.0, variation) for variation in (0.1, 1.5))
    assert wide < 0.4 * narrow
    # Many blocks speak for themselves.
    assert degrees_of_freedom(many, 1.0, 1.5) > 100 * wide


def test_the_same_blocks_have_a_wider_interval_where_like_lies_beside_like() -> None:
    shares = np.sort(np.random.default_rng(2).integers(2, 60, 36))
    together = block_intervals(grid_of_blocks(shares.reshape(6, 6)))
    mixed = block_intervals(grid_of_blocks(np.random.default_rng(3).permutation(shares).reshape(6, 6)))
    for beside, apart in (
        (together.fraction, mixed.fraction),
        (together.density_per_mm2, mixed.density_per_mm2),
        (together.h_score, mixed.h_score),
    ):
        assert beside is not None
        assert apart is not None
        assert beside.high - beside.low > 1.3 * (apart.high - apart.low)
