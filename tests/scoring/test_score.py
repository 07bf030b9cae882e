"""Scores, intervals and blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ihc_quant.domain.score import CellCounts
from ihc_quant.scoring.blocks import BlockCounts, count_blocks, cut_blocks
from ihc_quant.scoring.bootstrap import block_intervals
from ihc_quant.scoring.intervals import garwood_interval, grade_interval, wilson_interval
from ihc_quant.scoring.score import ScoreSettings, h_score, marked_where_few, score_marker

counts = st.builds(
    CellCounts, *[st.integers(0, 5000)] * 4, area_um2=st.floats(0, 1e8).filter(lambda area: area == 0 or area > 1)
)


def painted_blocks(seed: int, blocks: int, fraction: float = 0.3, spread: float = 20.0) -> BlockCounts:
    """Return blocks whose positive fraction varies from block to block."""
    rng = np.random.default_rng(seed)
    total = rng.poisson(60, blocks)
    positive = rng.binomial(total, rng.beta(fraction * spread, (1 - fraction) * spread, blocks))
    grades = np.stack([total - positive, positive, np.zeros(blocks), np.zeros(blocks)], axis=1).astype(np.int64)
    return BlockCounts(np.ones(blocks, np.int64), grades, np.full(blocks, 62_500.0))


@pytest.mark.parametrize(
    ("total", "low", "high"), [(100, 5.5, 17.4), (500, 7.7, 12.9), (1000, 8.3, 12.0), (4000, 9.1, 11.0)]
)
def test_wilson_at_ten_percent(total: int, low: float, high: float) -> None:
    interval = wilson_interval(total // 10, total)
    assert (round(100 * interval.low, 1), round(100 * interval.high, 1)) == (low, high)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_estimate_and_stays_in_range(case: tuple[int, int]) -> None:
    positives, total = case
    interval = wilson_interval(positives, total)
    assert 0 <= interval.low <= positives / total <= interval.high <= 1
    mirrored = wilson_interval(total - positives, total)
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@pytest.mark.parametrize("total", [1, 2, 7, 50, 333, 4000, 100_000])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_is_that_of_statsmodels(total: int, level: float) -> None:
    for positives in {0, 1, total // 10, total // 2, total - 1, total}:
        interval = wilson_interval(positives, total, level)
        theirs = proportion_confint(positives, total, alpha=1 - level, method="wilson")
        assert (interval.low, interval.high) == pytest.approx(theirs, abs=1e-9)


@given(st.integers(0, 10_000))
def test_garwood_holds_the_estimate_and_narrows_with_the_area(count: int) -> None:
    interval = garwood_interval(count, 2.0)
    assert 0 <= interval.low <= count / 2 <= interval.high
    assert garwood_interval(2 * count + 1, 4.0).high - garwood_interval(2 * count + 1, 4.0).low < (
        interval.high - interval.low + 1
    )


@given(counts, counts)
def test_a_score_holds_its_figures_inside_their_intervals(one: CellCounts, other: CellCounts) -> None:
    both = one + other
    score = score_marker("CCR4", both, None)
    for estimate in (score.positive_fraction, score.positive_density_per_mm2, score.h_score):
        for interval in estimate.intervals:
            assert estimate.value is not None
            assert interval.low - 1e-9 <= estimate.value <= interval.high + 1e-9
    assert (score.positive_fraction.value is None) == (both.total == 0)
    assert (score.positive_density_per_mm2.value is None) == (both.area_um2 == 0 or both.total == 0)


def test_no_cells_give_a_reason_and_never_zero() -> None:
    score = score_marker("CD4", CellCounts(area_um2=1e6), None)
    assert score.positive_fraction.value is None
    assert "no cells" in score.positive_fraction.reason
    assert score.h_score.value is None
    assert score.positive_density_per_mm2.value is None, "an area without a cell says that cells were missed"
    assert score_marker("CD4", CellCounts(negative=9, area_um2=1e6), None).positive_density_per_mm2.value == 0
    assert score_marker("CD4", CellCounts(), None).positive_density_per_mm2.reason == "no tissue was analysed"
    assert h_score(CellCounts()) is None


@pytest.mark.parametrize(("cells", "words"), [(99, "insufficient"), (100, "low count"), (499, "low count"), (500, "")])
def test_few_cells_are_cautioned(cells: int, words: str) -> None:
    cautions = score_marker("CD8", CellCounts(negative=cells, area_um2=1e6), None).cautions
    assert (words in cautions[0]) if words else cautions == ()


def test_the_limits_of_caution_are_settings() -> None:
    relaxed = ScoreSettings(insufficient_below=10, low_below=50)
    assert score_marker("CD8", CellCounts(negative=60), None, relaxed).cautions == ()


@given(st.integers(0, 1000), st.integers(5, 60))
@settings(max_examples=20, deadline=None)
def test_the_bootstrap_is_deterministic_and_holds_the_estimate(seed: int, number: int) -> None:
    blocks = painted_blocks(seed, number)
    score = score_marker("CCR4", blocks.total(), blocks)
    assert score == score_marker("CCR4", blocks.total(), blocks)
    for estimate in (score.positive_fraction, score.positive_density_per_mm2, score.h_score):
        for interval in estimate.intervals:
            assert estimate.value is not None
            assert interval.low <= estimate.value <= interval.high
    assert score.positive_fraction.intervals[-1].reliable == (number >= 20)


def test_the_bootstrap_covers_the_truth_where_wilson_does_not() -> None:
    held, held_by_wilson = 0, 0
    for seed in range(150):
        blocks = painted_blocks(seed, 30)
        total = blocks.total()
        interval = block_intervals(blocks, draws=400).fraction
        assert interval is not None
        wilson = wilson_interval(total.positive, total.total)
        held += interval.low <= 0.3 <= interval.high
        held_by_wilson += wilson.low <= 0.3 <= wilson.high
    assert held >= 0.88 * 150
    assert held_by_wilson < 0.8 * 150


def test_clustered_cells_widen_the_bootstrap_and_not_wilson() -> None:
    even = block_intervals(painted_blocks(1, 60, spread=1e6)).fraction
    clustered = block_intervals(painted_blocks(1, 60, spread=2.0)).fraction
    assert even is not None
    assert clustered is not None
    assert clustered.high - clustered.low > 2 * (even.high - even.low)


def test_figures_at_the_end_of_their_range_have_limits_but_no_bootstrap() -> None:
    none = BlockCounts(np.ones(30, np.int64), np.tile([50, 0, 0, 0], (30, 1)).astype(np.int64), np.full(30, 62_500.0))
    given = score_marker("CCR4", none.total(), none)
    for estimate in (given.positive_fraction, given.positive_density_per_mm2, given.h_score):
        independent, blocks = estimate.intervals
        assert independent.low == blocks.low == estimate.value == 0
        assert blocks.high > independent.high
        assert "bootstrap" not in blocks.method
    assert block_intervals(painted_blocks(0, 4)).fraction is None


def test_fragments_of_one_block_are_drawn_together() -> None:
    blocks = painted_blocks(3, 25)
    alone = BlockCounts(np.arange(1, 26), blocks.grades, blocks.area_um2)
    assert block_intervals(alone).fraction == block_intervals(blocks).fraction
    mixed = BlockCounts(np.array([1] * 24 + [2]), blocks.grades, blocks.area_um2)
    assert block_intervals(mixed).fraction == block_intervals(blocks).fraction


def test_resampling_within_fragments_leaves_out_the_difference_between_them() -> None:
    low, high = painted_blocks(1, 30, 0.1, 1e6), painted_blocks(2, 30, 0.9, 1e6)
    grades, area = np.concatenate([low.grades, high.grades]), np.full(60, 62_500.0)
    within = block_intervals(BlockCounts(np.repeat([1, 2], 30), grades, area)).fraction
    across = block_intervals(BlockCounts(np.ones(60, np.int64), grades, area)).fraction
    assert within is not None
    assert across is not None
    assert within.high - within.low < 0.5 * (across.high - across.low)


@given(st.tuples(*[st.integers(0, 300)] * 4).filter(any))
def test_the_h_score_interval_has_a_width_and_stays_in_range(grades: tuple[int, int, int, int]) -> None:
    interval = grade_interval(grades)
    value = h_score(CellCounts(*grades))
    assert value is not None
    assert 0 <= interval.low <= value <= interval.high <= 300
    assert interval.high - interval.low > 1


@pytest.mark.parametrize("shares", [(0.97, 0.01, 0.01, 0.01), (0.9, 0.1, 0, 0), (0.6, 0.2, 0.1, 0.1), (0, 0.1, 0, 0.9)])
def test_the_h_score_interval_covers_the_truth_of_independent_cells(shares: tuple[float, ...]) -> None:
    truth = 100 * float(np.dot(shares, range(4)))
    held = 0
    for grades in np.random.default_rng(4).multinomial(200, shares, 500).tolist():
        interval = grade_interval((grades[0], grades[1], grades[2], grades[3]))
        held += interval.low <= truth <= interval.high
    assert held >= 0.92 * 500


def test_an_interval_that_cannot_be_trusted_says_why() -> None:
    many, few = CellCounts(450, 150, area_um2=1e6), CellCounts(3, area_um2=1e6)
    one_block = BlockCounts(np.array([1]), np.array([[450, 150, 0, 0]]), np.array([1e6]))
    for counts, blocks, words in (
        (many, None, "no spatial interval (blocks of tissue were not counted)"),
        (many, one_block, "no spatial interval (1 blocks of tissue, fewer than 5)"),
        (few, None, "3 cells, fewer than 100"),
    ):
        score = score_marker("CCR4", counts, blocks)
        for estimate in (score.positive_fraction, score.positive_density_per_mm2, score.h_score):
            (interval,) = estimate.intervals
            assert not interval.reliable
            assert words in interval.note


def test_of_too_few_cells_the_bootstrap_is_no_more_reliable() -> None:
    blocks = BlockCounts(np.ones(25, np.int64), np.tile([1, 1, 0, 0], (25, 1)) + np.eye(25, 4, dtype=int), np.ones(25))
    score = score_marker("CCR4", blocks.total(), blocks)
    assert [interval.reliable for interval in score.positive_fraction.intervals] == [False, False]
    relaxed = score_marker("CCR4", blocks.total(), blocks, ScoreSettings(insufficient_below=0))
    assert [interval.reliable for interval in relaxed.positive_fraction.intervals] == [True, True]


def test_blocks_hold_every_cell_once_and_all_the_tissue() -> None:
    rng = np.random.default_rng(5)
    fragments = np.zeros((40, 50), np.int16)
    fragments[3:30, 4:20], fragments[10:35, 25:45] = 1, 2
    tissue = cut_blocks(fragments, pixel_um=16.0)
    assert tissue.area_um2.sum() == pytest.approx(np.count_nonzero(fragments) * 16.0**2)
    y, x = np.nonzero(fragments)
    pick = rng.integers(0, len(y), 500)
    x_um, y_um = (x[pick] + rng.random(500)) * 16.0, (y[pick] + rng.random(500)) * 16.0
    grade = rng.integers(0, 4, 500).astype(np.int8)
    blocks = count_blocks(x_um, y_um, fragments[y[pick], x[pick]], grade, tissue)
    assert blocks.grades.sum(axis=0).tolist() == np.bincount(grade, minlength=4).tolist()
    assert set(blocks.fragment.tolist()) == {1, 2}
    with pytest.raises(ValueError, match="no tissue"):
        count_blocks(np.array([1.0]), np.array([1.0]), np.array([9], np.int16), np.array([0], np.int8), tissue)


def test_blocks_that_hold_other_cells_than_the_counts_are_refused() -> None:
    blocks = painted_blocks(0, 30)
    with pytest.raises(ValueError, match="blocks hold"):
        score_marker("CCR4", CellCounts(1, 1), blocks)


def test_a_missing_spatial_interval_is_said_aloud() -> None:
    one_block = BlockCounts(np.array([1]), np.array([[500, 100, 0, 0]]), np.array([1e6]))
    (caution,) = score_marker("CD8", one_block.total(), one_block).cautions
    assert "no spatial interval" in caution
    assert "1 blocks of tissue" in caution


@pytest.mark.parametrize(("cells", "reliable"), [(99, False), (100, True)])
def test_intervals_made_elsewhere_are_marked_where_there_are_few_cells(cells: int, *, reliable: bool) -> None:
    given = (garwood_interval(7, 0.2, 0.95),)
    (marked,) = marked_where_few(given, CellCounts(cells - 7, 7), ScoreSettings())
    assert (marked.reliable, marked.low, marked.high) == (reliable, given[0].low, given[0].high)
    assert ("99 cells, fewer than 100" in marked.note) is not reliable
