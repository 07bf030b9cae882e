"""CCR4 schemes at and around their cuts, and where they do not apply."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.ccr4 import Ccr4Scheme, FractionCut
from ihc_quant.domain.score import CellCounts, Estimate, Interval
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES, NUCLEATED_CELLS
from ihc_quant.scoring.scheme_verdicts import Ccr4Reading, judge, judge_all
from ihc_quant.scoring.score import score_marker

BY_ID = {scheme.id: scheme for scheme in CCR4_SCHEMES}
CUT = [scheme for scheme in CCR4_SCHEMES if scheme.cut is not None]


def known(value: float, low: float, high: float) -> Estimate:
    """Return a fraction of which both the spatial interval and the network's error are known."""
    methods = "Wilson", "spatial block bootstrap, studentised", "sampling + measurement, simulated"
    return Estimate(value, "fraction", tuple(Interval(low, high, 0.95, method) for method in methods))


def reading(
    scheme: Ccr4Scheme, positive: int, total: int = 100, limits: tuple[float, float] | None = None, **changes: str
) -> Ccr4Reading:
    """Return a section that has all that a scheme needs; without limits its interval is the figure itself."""
    value = positive / total
    low, high = limits or (value, value)
    return Ccr4Reading(
        slide_id="S1",
        site=changes.get("site", "skin"),
        region=AnalysedRegion(changes.get("kind", scheme.region), "drawn"),
        fraction=known(value, low, high),
        denominator=changes.get("denominator", NUCLEATED_CELLS),
        clone=changes.get("clone", ""),
    )


@pytest.mark.parametrize(
    ("scheme", "positive", "category"),
    [
        ("kobe-poteligeo-test", 999, "negative"),
        ("kobe-poteligeo-test", 1000, "positive"),
        ("kobe-poteligeo-test", 1001, "positive"),
        ("blood-2012-skin-5", 499, "not above background"),
        ("blood-2012-skin-5", 500, "not above background"),
        ("blood-2012-skin-5", 501, "above background"),
        ("geller-2020-infiltrate-25", 2499, "low"),
        ("geller-2020-infiltrate-25", 2500, "low"),
        ("geller-2020-infiltrate-25", 2501, "high"),
    ],
)
def test_each_cut_is_exact(scheme: str, positive: int, category: str) -> None:
    (verdict,) = judge(BY_ID[scheme], [reading(BY_ID[scheme], positive, 10_000)])
    assert (verdict.outcome, verdict.category) == ("category", category)


@pytest.mark.parametrize(
    ("scheme", "limits", "category"),
    [
        ("kobe-poteligeo-test", (0.10, 0.20), "positive"),
        ("kobe-poteligeo-test", (0.0999, 0.20), ""),
        ("kobe-poteligeo-test", (0.05, 0.10), ""),
        ("kobe-poteligeo-test", (0.05, 0.0999), "negative"),
        ("blood-2012-skin-5", (0.05, 0.20), ""),
        ("blood-2012-skin-5", (0.0501, 0.20), "above background"),
        ("blood-2012-skin-5", (0.01, 0.05), "not above background"),
        ("blood-2012-skin-5", (0.01, 0.0501), ""),
    ],
)
def test_an_interval_that_straddles_its_cut_is_indeterminate(
    scheme: str, limits: tuple[float, float], category: str
) -> None:
    middle = round(sum(limits) / 2 * 10_000)
    (verdict,) = judge(BY_ID[scheme], [reading(BY_ID[scheme], middle, 10_000, limits)])
    assert verdict.category == category
    assert verdict.outcome == ("category" if category else "indeterminate")
    assert (verdict.low, verdict.high) == limits


@given(st.sampled_from(CUT), st.integers(0, 1000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_category_holds_over_its_whole_interval(scheme: Ccr4Scheme, tenths: int, down: float, up: float) -> None:
    value = tenths / 1000
    limits = max(0.0, value - down), min(1.0, value + up)
    (verdict,) = judge(scheme, [reading(scheme, tenths, 1000, limits)])
    (narrow,) = judge(scheme, [reading(scheme, tenths, 1000)])
    assert narrow.outcome == "category"
    assert verdict.outcome == "indeterminate" or verdict.category == narrow.category


def test_the_outermost_limits_of_all_intervals_decide() -> None:
    scheme = BY_ID["geller-2020-infiltrate-25"]
    narrow, wide = Interval(0.28, 0.32, 0.95, "narrow"), Interval(0.2, 0.4, 0.95, "wide", False, "not validated")
    for intervals in ((narrow, wide), (wide, narrow)):
        region = AnalysedRegion("infiltrate", "drawn")
        (verdict,) = judge(scheme, [Ccr4Reading("S1", "skin", region, Estimate(0.3, "fraction", intervals))])
        assert verdict.outcome == "indeterminate"
        assert verdict.text == "indeterminate: 30.0 % (20.0 % to 40.0 %) straddles the cut > 25 %"
        assert "Interval unreliable (wide): not validated." in verdict.notes


def test_a_category_wants_a_spatial_interval_and_the_error_of_the_network() -> None:
    scheme = BY_ID["geller-2020-infiltrate-25"]
    given = reading(scheme, 40, limits=(0.35, 0.45))
    wilson, spatial, both = given.fraction.intervals
    wide = replace(spatial, low=0.2)
    for intervals, words in (
        ((wilson, spatial, both), "high: 40.0 % (35.0 % to 45.0 %), cut > 25 %"),
        (
            (wilson, spatial),
            "indeterminate: measurement error is not known for these calls; 40.0 % (35.0 % to 45.0 %), cut > 25 %",
        ),
        (
            (wilson, both),
            "indeterminate: no spatial interval (blocks of tissue were not counted); 40.0 % (35.0 % to 45.0 %), "
            "cut > 25 %",
        ),
        ((wilson, wide), "indeterminate: 40.0 % (20.0 % to 45.0 %) straddles the cut > 25 %"),
    ):
        (verdict,) = judge(scheme, [replace(given, fraction=Estimate(0.4, "fraction", intervals))])
        assert verdict.text == words


def test_too_few_cells_or_blocks_give_no_category() -> None:
    scheme = BY_ID["geller-2020-infiltrate-25"]
    region = AnalysedRegion("infiltrate", "drawn")
    for counts, start in (
        (CellCounts(0, 5, area_um2=1e4), "not applicable: too few cells (5 cells, fewer than 100)"),
        (CellCounts(0, 200, area_um2=1e4), "indeterminate: no spatial interval (1 blocks of tissue, fewer than 5); "),
    ):
        blocks = BlockCounts(np.array([1]), np.array([[0, counts.positive, 0, 0]]), np.array([1e4]))
        score = score_marker("CCR4", counts, blocks)
        given = Ccr4Reading("S1", "skin", region, score.positive_fraction, cautions=score.cautions)
        (verdict,) = judge(scheme, [given])
        assert verdict.text.startswith(start)
        assert not verdict.category


def test_all_schemes_answer_and_none_is_picked() -> None:
    whole = Ccr4Reading("S1", "skin", AnalysedRegion(), Estimate(0.5, "fraction"))
    for verdicts in (judge_all([]), judge_all([whole])):
        assert [verdict.scheme.id for verdict in verdicts] == [scheme.id for scheme in CCR4_SCHEMES]
        assert {verdict.outcome for verdict in verdicts} == {"not applicable"}
        assert all(verdict.text.startswith("not applicable: ") for verdict in verdicts)
    texts = {verdict.scheme.id: verdict.text for verdict in judge_all([whole])}
    assert texts["kobe-poteligeo-test"] == "not applicable: needs a drawn or confirmed tumour region"
    assert "no numeric bounds" in texts["blood-2004-four-tiers"]
    assert "double stain" in texts["nakatani-2001-among-cd4"]


def test_the_region_of_one_scheme_is_not_that_of_another() -> None:
    texts = {v.scheme.id: v.outcome for v in judge_all([reading(BY_ID["geller-2020-infiltrate-25"], 90)])}
    assert texts["geller-2020-infiltrate-25"] == texts["blood-2012-skin-5"] == "category"
    assert texts["kobe-poteligeo-test"] == "not applicable"


def test_a_proposed_region_does_not_do() -> None:
    proposed = Ccr4Reading("S1", "skin", AnalysedRegion("infiltrate", "proposed"), Estimate(0.5, "fraction"))
    (verdict,) = judge(BY_ID["geller-2020-infiltrate-25"], [proposed])
    assert verdict.text.endswith("the one here was proposed by the software and not reviewed")


def test_another_site_denominator_or_no_figure_is_refused_with_what_is_needed() -> None:
    scheme = BY_ID["geller-2020-infiltrate-25"]
    (node,) = judge(scheme, [reading(scheme, 50, site="lymph_node")])
    assert node.text == "not applicable: needs a biopsy of skin; this one is of lymph_node"
    (cd4,) = judge(scheme, [reading(scheme, 50, denominator="CD4+ cells")])
    assert cd4.text.endswith("not of CD4+ cells")
    region = AnalysedRegion("infiltrate", "drawn")
    (empty,) = judge(scheme, [Ccr4Reading("S1", "skin", region, Estimate(None, "fraction", reason="no cells"))])
    assert empty.text == "not applicable: needs a percentage; no cells"


def test_every_section_has_its_own_verdict_and_names_its_antibody() -> None:
    scheme = BY_ID["kobe-poteligeo-test"]
    verdicts = judge(scheme, [reading(scheme, 50, clone="1G1"), reading(scheme, 2)])
    assert [verdict.category for verdict in verdicts] == ["positive", "negative"]
    assert verdicts[0].notes[-1].endswith("of this section: 1G1.")
    assert verdicts[1].notes[-1].endswith("of this section: clone not recorded.")


def test_schemes_are_distinct_and_carry_a_citation_and_a_denominator() -> None:
    assert len(BY_ID) == len(CCR4_SCHEMES)
    assert all(scheme.citation and scheme.antibody and scheme.denominator for scheme in CCR4_SCHEMES)
    assert [scheme.cut.label for scheme in CUT if scheme.cut] == ["≥ 10 %", "> 5 %", "> 25 %"]


def test_a_scheme_with_a_cut_needs_a_region_and_two_names() -> None:
    with pytest.raises(ValueError, match="has a cut and a region"):
        Ccr4Scheme("x", "c", "a", "d", FractionCut(0.1, True), ("low", "high"))
    with pytest.raises(ValueError, match="one name below"):
        Ccr4Scheme("x", "c", "a", "d", FractionCut(0.1, True), ("low",), region="tumour")
