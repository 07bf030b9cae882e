"""Sections whose cells all have the same call have limits, and a category where these are clear of a cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.bootstrap import block_intervals, ratio_interval
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES
from ihc_quant.scoring.intervals import wilson_interval
from ihc_quant.scoring.same_call import effective_number, unseen_limit
from ihc_quant.scoring.scheme_verdicts import Ccr4Reading, judge
from ihc_quant.scoring.score import score_marker

GELLER = next(scheme for scheme in CCR4_SCHEMES if scheme.id == "geller-2020-infiltrate-25")
ACCURATE = MeasurementError(
    "held-out", "CCR4", "skin", "out-of-fold, by patient", 30, 30, 0.0, 1.0, 2000, 8000, 0.98, 0.99
)


def alike(cells: list[int], grade: int = 0) -> BlockCounts:
    """Return blocks of as many cells, all of one grade."""
    grades = np.zeros((len(cells), 4), np.int64)
    grades[:, grade] = cells
    return BlockCounts(np.ones(len(cells), np.int64), grades, np.full(len(cells), 62_500.0))


cells_of_blocks = st.lists(st.integers(0, 300), min_size=5, max_size=60).filter(any)


@given(cells_of_blocks)
def test_blocks_count_as_no_more_than_they_are_nor_than_their_cells(cells: list[int]) -> None:
    blocks = alike(cells)
    held = sum(count > 0 for count in cells)
    assert 1 - 1e-9 <= effective_number(blocks) <= min(held, sum(cells)) + 1e-9
    assert effective_number(alike([count * 3 for count in cells])) == pytest.approx(effective_number(blocks))
    assert unseen_limit(blocks, 0.9) < unseen_limit(blocks, 0.95) < 1


@given(cells_of_blocks)
def test_none_and_all_positive_mirror_each_other_and_are_wider_than_of_independent_cells(cells: list[int]) -> None:
    none, every = block_intervals(alike(cells)), block_intervals(alike(cells, grade=2))
    assert none.fraction is not None
    assert every.fraction is not None
    assert (none.fraction.low, every.fraction.high) == (0, 1)
    assert every.fraction.low == pytest.approx(1 - none.fraction.high)
    blocks = sum(count > 0 for count in cells)
    # Wilson's limit of as many cells lies below the exact one of as many blocks unless each block holds hardly a cell.
    if sum(cells) > 10 * blocks:
        assert none.fraction.high > wilson_interval(0, sum(cells)).high
    assert none.fraction.reliable == (len(cells) >= 20)


def test_the_other_figures_follow_the_fraction() -> None:
    given = block_intervals(alike([100] * 40))
    assert given.fraction is not None
    assert given.density_per_mm2 is not None
    assert given.h_score is not None
    assert given.fraction.high == pytest.approx(1 - 0.025 ** (1 / 40))
    assert given.density_per_mm2.high == pytest.approx(given.fraction.high * 100 / 0.0625)
    assert given.h_score.high == pytest.approx(given.fraction.high * 300)
    assert given.fraction.method == ("spatial blocks as units, exact binomial (Clopper–Pearson), 40 that count as 40.0")


def test_too_few_blocks_or_no_cells_give_no_limits() -> None:
    for blocks in (alike([100] * 4), alike([0] * 30)):
        assert block_intervals(blocks).fraction is None


def test_cells_without_area_have_a_fraction_and_no_density() -> None:
    bare = replace(alike([100] * 30), area_um2=np.zeros(30))
    given = block_intervals(bare)
    assert given.fraction is not None
    assert given.density_per_mm2 is None


def test_the_limit_holds_where_whole_blocks_are_all_or_nothing() -> None:
    rng = np.random.default_rng(1)
    for fraction in (0.02, 0.05, 0.1, 0.2):
        above = 0
        for _ in range(500):
            blocks = alike(rng.poisson(60, 40).tolist())
            above += not (rng.random(40) < fraction).any() and unseen_limit(blocks) < fraction
        assert above <= 0.025 * 500


@pytest.mark.parametrize(
    ("blocks", "grade", "outcome", "category"),
    [
        (40, 0, "category", "low"),
        (40, 3, "category", "high"),
        (8, 0, "indeterminate", ""),
    ],
)
def test_a_category_is_given_where_blocks_are_clear_of_the_cut(
    blocks: int, grade: int, outcome: str, category: str
) -> None:
    counted = alike([125] * blocks, grade)
    score = score_marker("CCR4", counted.total(), counted, errors=(ACCURATE,))
    assert not any("no spatial interval" in caution for caution in score.cautions)
    region = AnalysedRegion("infiltrate", "drawn")
    (verdict,) = judge(GELLER, [Ccr4Reading("S1", "skin", region, score.positive_fraction, cautions=score.cautions)])
    assert (verdict.outcome, verdict.category) == (outcome, category)


def test_none_of_many_cells_is_not_clear_of_a_low_cut_in_few_blocks() -> None:
    scheme = next(scheme for scheme in CCR4_SCHEMES if scheme.id == "blood-2012-skin-5")
    for blocks, outcome in ((40, "indeterminate"), (160, "category")):
        counted = alike([125] * blocks)
        score = score_marker("CCR4", counted.total(), counted, errors=(ACCURATE,))
        region = AnalysedRegion(scheme.region, "drawn")
        (verdict,) = judge(scheme, [Ccr4Reading("S1", "skin", region, score.positive_fraction)])
        assert verdict.outcome == outcome


def with_positive_in(blocks: BlockCounts, places: int, cells: int = 1) -> BlockCounts:
    """Return blocks of which the first few hold some 1+ cells in the place of negative ones."""
    grades = blocks.grades.copy()
    grades[:places, 0] -= cells
    grades[:places, 1] += cells
    return replace(blocks, grades=grades)


@pytest.mark.parametrize("places", [1, 2, 4])
def test_a_call_seen_in_few_blocks_is_known_no_better_than_one_never_seen(places: int) -> None:
    none = alike([100] * 31)
    unseen, few = block_intervals(none), block_intervals(with_positive_in(none, places))
    for name in ("fraction", "density_per_mm2", "h_score"):
        assert getattr(few, name).high >= getattr(unseen, name).high
        assert "not seen" in getattr(few, name).method
    mirrored = alike([100] * 31, grade=1)
    grades = mirrored.grades.copy()
    grades[:places, 0] += 1
    grades[:places, 1] -= 1
    most = block_intervals(replace(mirrored, grades=grades)).fraction
    assert most is not None
    assert most.low <= 1 - unseen_limit(mirrored)


def test_a_call_seen_in_many_blocks_is_left_to_the_bootstrap() -> None:
    fraction = block_intervals(with_positive_in(alike([100] * 31), 12)).fraction
    assert fraction is not None
    assert fraction.high < unseen_limit(alike([100] * 31))
    assert "not seen" not in fraction.method


def test_a_ratio_of_a_call_seen_in_few_blocks_reaches_as_far_and_mirrors() -> None:
    few = with_positive_in(alike([100] * 31), 2)
    many = with_positive_in(with_positive_in(alike([100] * 31), 31, cells=10), 15, cells=20)
    ratio, inverse = ratio_interval(few, many), ratio_interval(many, few, streams=(1, 0))
    assert ratio is not None
    assert inverse is not None
    assert ratio.high >= unseen_limit(few) / (610 / 3100)
    assert inverse.low == pytest.approx(1 / ratio.high)
    assert inverse.high == pytest.approx(1 / ratio.low)
