"""Ratios of densities and bounds on co-expression between sections of one biopsy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.score import Estimate
from ihc_quant.domain.serial_sections import MISSED_NUCLEI, SERIAL_SECTION_RATIO, AnalysedRegion, FractionRange
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.bootstrap import ratio_interval
from ihc_quant.scoring.intervals import poisson_ratio_interval
from ihc_quant.scoring.panel_section import MissingSection, PanelSection
from ihc_quant.scoring.score import ScoreSettings, score_marker
from ihc_quant.scoring.serial_sections import (
    coexpression_bounds,
    density_ratio,
    frechet_bounds,
    panel_bounds,
    panel_ratios,
)

QUICK = ScoreSettings(draws=200, measurement_draws=100)
fractions = st.floats(0, 1)


def clustered_blocks(seed: int, blocks: int, per_block: float, spread: float = 4.0) -> BlockCounts:
    """Return blocks whose density of positive cells varies from block to block; ``per_block`` of them on average."""
    rng = np.random.default_rng(seed)
    positive = rng.poisson(per_block * rng.gamma(spread, 1 / spread, blocks))
    grades = np.stack([rng.poisson(60, blocks), positive, np.zeros(blocks), np.zeros(blocks)], axis=1)
    return BlockCounts(np.ones(blocks, np.int64), grades.astype(np.int64), np.full(blocks, 62_500.0))


def section(marker: str, blocks: BlockCounts, index: int = 1, **changes: object) -> PanelSection:
    """Return a section of a lymph node on which nothing is to be cautioned."""
    plain = PanelSection(
        slide_id=f"S-{marker}",
        biopsy_id="B",
        site="lymph_node",
        region=AnalysedRegion(),
        score=score_marker(marker, blocks.total(), blocks, QUICK),
        blocks=blocks,
        section_index=index,
        thickness_um=4.0,
        nucleus_um=7.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


CD4 = section("CD4", clustered_blocks(1, 40, 30))
CD8 = section("CD8", clustered_blocks(2, 50, 10), index=2)
CCR4 = section("CCR4", clustered_blocks(3, 30, 45), index=2)


def test_a_ratio_divides_densities_and_may_exceed_one() -> None:
    found = density_ratio(CCR4, CD4, QUICK)
    one, other = (side.score.positive_density_per_mm2.value for side in (CCR4, CD4))
    assert one is not None
    assert other is not None
    assert found.ratio.value == one / other > 1
    assert found.name == "CCR4:CD4"
    assert found.label == SERIAL_SECTION_RATIO
    assert found.warnings == ()
    assert "nucleated cells in 1.88 mm² of all tissue on S-CCR4" in found.numerator.statement
    assert all(interval.reliable for interval in found.ratio.intervals)


@given(st.integers(0, 1000), st.integers(5, 30), st.integers(5, 30))
@settings(max_examples=15, deadline=None)
def test_the_inverse_ratio_has_the_inverse_limits(seed: int, blocks: int, others: int) -> None:
    one = section("CD4", clustered_blocks(seed, blocks, 20))
    other = section("CD8", clustered_blocks(seed + 1, others, 12), index=2)
    ratio, inverse = density_ratio(one, other, QUICK).ratio, density_ratio(other, one, QUICK).ratio
    assert ratio.value is not None
    assert inverse.value == pytest.approx(1 / ratio.value)
    for interval, turned in zip(ratio.intervals, inverse.intervals, strict=True):
        assert interval.low <= ratio.value <= interval.high
        assert turned.low == pytest.approx(1 / interval.high)
        assert turned.high == pytest.approx(1 / interval.low)
        assert turned.reliable == interval.reliable
    assert density_ratio(one, other, QUICK).ratio == ratio


def test_the_bootstrap_holds_the_true_ratio_where_independent_cells_do_not() -> None:
    held, held_by_poisson = 0, 0
    for seed in range(100):
        one, other = clustered_blocks(2 * seed, 30, 30), clustered_blocks(2 * seed + 1, 40, 15)
        interval = ratio_interval(one, other, draws=300)
        assert interval is not None
        held += interval.low <= 2 <= interval.high
        a, b = one.total(), other.total()
        poisson = poisson_ratio_interval(a.positive, a.area_um2, b.positive, b.area_um2)
        held_by_poisson += poisson.low <= 2 <= poisson.high
    assert held >= 0.88 * 100
    assert held_by_poisson < 0.8 * 100


def test_both_sections_are_drawn_apart() -> None:
    blocks = clustered_blocks(5, 40, 20)
    alone = ratio_interval(blocks, blocks)
    assert alone is not None
    assert alone.low < 0.9 < 1.1 < alone.high, "the same draws in both would leave no variation"
    with pytest.raises(ValueError, match="streams"):
        ratio_interval(blocks, blocks, streams=(1, 1))


@pytest.mark.parametrize(("blocks", "words"), [(4, "fewer than 5"), (12, "12 blocks on a section; at least 20")])
def test_few_blocks_on_either_section_make_the_interval_unreliable(blocks: int, words: str) -> None:
    few = section("CD8", clustered_blocks(7, blocks, 100), index=2)
    for found in (density_ratio(CD4, few, QUICK), density_ratio(few, CD4, QUICK)):
        (warning,) = (sentence for sentence in found.warnings if "Interval unreliable" in sentence)
        assert words in warning
        assert found.ratio.value is not None
        assert len(found.ratio.intervals) == 1 or not found.ratio.intervals[-1].reliable


def test_a_section_without_blocks_still_has_a_ratio() -> None:
    found = density_ratio(CD4, replace(CD8, blocks=None), QUICK)
    assert len(found.ratio.intervals) == 1
    assert "S-CD8 was not cut into blocks" in found.warnings[-1]


def test_a_density_of_zero_or_none_gives_a_reason() -> None:
    none = np.tile([50, 0, 0, 0], (30, 1)).astype(np.int64)
    without = section("CD8", BlockCounts(np.ones(30, np.int64), none, np.full(30, 62_500.0)), index=2)
    empty = section("CD8", BlockCounts(np.ones(30, np.int64), none * 0, np.full(30, 62_500.0)), index=2)
    for found in (density_ratio(CD4, without, QUICK), density_ratio(without, CD4, QUICK)):
        assert found.ratio.value is None
        assert "S-CD8 is 0" in found.ratio.reason
    assert "no cells were found" in density_ratio(CD4, empty, QUICK).ratio.reason
    assert "no cells were found" in coexpression_bounds(CD4, empty).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"site": "skin"}, "sites do not match"),
        ({"biopsy_id": "C"}, "different biopsies"),
        ({"region": AnalysedRegion("infiltrate", "drawn")}, "regions do not match"),
    ],
)
def test_what_does_not_match_is_refused_with_a_reason(change: dict[str, object], words: str) -> None:
    other = replace(CCR4, **change)  # type: ignore[arg-type]
    assert words in density_ratio(other, CD4, QUICK).ratio.reason
    assert density_ratio(other, CD4, QUICK).ratio.value is None
    assert words in coexpression_bounds(CD4, other).reason


def test_a_proposed_region_is_not_compared_with_a_drawn_one() -> None:
    drawn = replace(CD4, region=AnalysedRegion("infiltrate", "drawn"))
    proposed = replace(CCR4, region=AnalysedRegion("infiltrate", "proposed"))
    assert "confirm or draw it on both" in density_ratio(proposed, drawn, QUICK).ratio.reason
    both = density_ratio(proposed, replace(drawn, region=proposed.region), QUICK)
    assert both.ratio.value is not None
    assert "not reviewed" in both.warnings[0]


def test_a_missing_section_is_a_value_with_its_reason() -> None:
    failed = MissingSection("CD8", "S9 could not be scored: it is blurred", "S9")
    found = density_ratio(CD4, failed)
    assert found.ratio == Estimate(None, "ratio", reason="S9 could not be scored: it is blurred")
    assert found.denominator.statement == "CD8: nothing counted on S9"
    assert coexpression_bounds(failed, CD4).reason == failed.reason


def test_two_sections_of_one_marker_are_no_pair() -> None:
    with pytest.raises(ValueError, match="both show CD4"):
        density_ratio(CD4, replace(CD4, slide_id="S2"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thickness_um": None}, "thickness is not recorded for S-CCR4"),
        ({"thickness_um": 3.0}, "0.91 times as large"),
        ({"nucleus_um": None}, "size of the positive nuclei is not known"),
        ({"nucleus_um": 9.0}, "9.0 µm (CCR4) and 7.0 µm (CD4)"),
        ({"section_index": 3}, "not adjacent (section indices 3 and 1)"),
        ({"section_index": 1}, "both have section index 1"),
    ],
)
def test_what_moves_a_ratio_is_said(change: dict[str, object], words: str) -> None:
    found = density_ratio(replace(CCR4, **change), CD4, QUICK)  # type: ignore[arg-type]
    (warning,) = found.warnings
    assert words in warning


def test_unknown_order_and_adjacent_sections_raise_no_warning() -> None:
    assert density_ratio(replace(CCR4, section_index=None), CD4, QUICK).warnings == ()
    assert density_ratio(CCR4, replace(CD4, section_index=3), QUICK).warnings == ()


@given(fractions, fractions, st.data())
def test_bounds_are_ordered_and_wider_ranges_widen_them(one: float, other: float, data: st.DataObject) -> None:
    bounds = frechet_bounds(FractionRange(one, one), FractionRange(other, other))
    assert 0 <= bounds.low <= bounds.high <= min(one, other)
    assert bounds == frechet_bounds(FractionRange(other, other), FractionRange(one, one))
    wide = [FractionRange(data.draw(st.floats(0, value)), data.draw(st.floats(value, 1))) for value in (one, other)]
    widened = frechet_bounds(*wide)
    assert widened.low <= bounds.low <= bounds.high <= widened.high


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_the_true_fraction_lies_inside_the_bounds(cells: list[tuple[bool, bool]]) -> None:
    n = len(cells)
    one, other = sum(a for a, _ in cells) / n, sum(b for _, b in cells) / n
    both = sum(a and b for a, b in cells) / n
    bounds = frechet_bounds(FractionRange(one, one), FractionRange(other, other))
    assert bounds.low - 1e-12 <= both <= bounds.high + 1e-12


def test_bounds_of_sections_take_the_outer_limits_of_every_interval() -> None:
    found = coexpression_bounds(CD4, CCR4)
    assert found.bounds is not None
    assert found.widened is not None
    limits = [
        (min(i.low for i in side.score.positive_fraction.intervals),
         max(i.high for i in side.score.positive_fraction.intervals))
        for side in (CD4, CCR4)
    ]  # fmt: skip
    assert found.widened.low == max(0, limits[0][0] + limits[1][0] - 1)
    assert found.widened.high == min(limits[0][1], limits[1][1])
    assert MISSED_NUCLEI in found.warnings
    assert not any("thickness" in warning for warning in found.warnings), "fractions do not depend on it"


def test_bounds_name_intervals_that_are_not_reliable() -> None:
    few = section("CCR4", clustered_blocks(7, 12, 100), index=2)
    assert any("CCR4: interval unreliable" in warning for warning in coexpression_bounds(CD4, few).warnings)


def test_a_panel_gives_every_pair_and_names_what_is_missing() -> None:
    second = replace(CD4, slide_id="S-CD4-2", section_index=3)
    names = [
        (ratio.name, ratio.numerator.slide_id, ratio.denominator.slide_id)
        for ratio in panel_ratios([CD4, second, CCR4], QUICK)
    ]
    assert names == [
        ("CD4:CD8", "S-CD4", ""), ("CD4:CD8", "S-CD4-2", ""),
        ("CCR4:CD4", "S-CCR4", "S-CD4"), ("CCR4:CD4", "S-CCR4", "S-CD4-2"),
    ]  # fmt: skip
    assert panel_ratios([CD4, CCR4], QUICK)[0].ratio.reason == "the biopsy has no CD8 section"
    assert len(panel_bounds([CD4, second, CCR4])) == 2


def test_a_panel_keeps_kinds_of_regions_apart() -> None:
    drawn = AnalysedRegion("infiltrate", "drawn")
    found = panel_ratios([CD4, replace(CD4, region=drawn), CCR4, replace(CCR4, region=drawn), CD8], QUICK)
    over = {(ratio.name, ratio.numerator.region.kind if ratio.numerator.region else ""): ratio for ratio in found}
    assert len(found) == len(over) == 4
    assert over["CCR4:CD4", "infiltrate"].ratio.value is not None
    assert over["CD4:CD8", "all tissue"].ratio.value is not None
    assert over["CD4:CD8", "infiltrate"].ratio.reason == "S-CD8 (CD8) was not scored over infiltrate"


def test_a_panel_leaves_out_a_pair_over_a_region_that_neither_section_has() -> None:
    tumour = replace(CCR4, region=AnalysedRegion("tumour", "drawn"))
    rows = panel_ratios([CD4, CD8, CCR4, tumour], QUICK)
    assert [(row.name, row.ratio.value is None) for row in rows] == [
        ("CD4:CD8", False), ("CCR4:CD4", False), ("CCR4:CD4", True),
    ]  # fmt: skip
    assert rows[-1].ratio.reason == "S-CD4 (CD4) was not scored over tumour"
    bounds = panel_bounds([CD4, replace(CD4, slide_id="S-CD4-2"), CCR4, replace(CD8, region=tumour.region)])
    assert [each.one.slide_id for each in bounds] == ["S-CD4", "S-CD4-2"]


def test_a_pair_that_was_never_scored_is_given_once() -> None:
    failed = MissingSection("CD4", "S1 failed", "S1")
    tumour = replace(CCR4, region=AnalysedRegion("tumour", "drawn"))
    rows = panel_ratios([failed, CCR4, tumour], QUICK)
    assert [(row.name, row.numerator.slide_id, row.denominator.slide_id) for row in rows] == [
        ("CD4:CD8", "S1", ""), ("CCR4:CD4", "S-CCR4", "S1"), ("CCR4:CD4", "S-CCR4", "S1"),
    ]  # fmt: skip
    assert rows[0].ratio.reason == "S1 failed; the biopsy has no CD8 section"


def test_a_panel_of_failed_sections_is_not_silent() -> None:
    found = panel_ratios([MissingSection("CD4", "S1 failed", "S1")])
    assert [ratio.ratio.reason for ratio in found] == [
        "S1 failed; the biopsy has no CD8 section",
        "the biopsy has no CCR4 section; S1 failed",
    ]
    assert len(panel_bounds([])) == 1


def test_regions_say_who_drew_them() -> None:
    assert AnalysedRegion("infiltrate", "proposed").label == "infiltrate (proposed, not reviewed)"
    with pytest.raises(ValueError, match="cannot have the origin"):
        AnalysedRegion("infiltrate")


def test_blocks_of_other_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same cells"):
        replace(CD4, blocks=CD8.blocks)
