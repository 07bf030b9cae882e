"""The headline: what leads, what must stand beside it, and which of several pairs of sections a ratio is of."""

from dataclasses import replace
from itertools import permutations

import pytest

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, PooledLevels, SectionRecord
from ihc_quant.domain.outcome import RegionScore, Scored
from ihc_quant.domain.score import Estimate, Interval, MarkerScore
from ihc_quant.domain.serial_sections import AnalysedRegion, CoexpressionBounds, CountedSection, DensityRatio
from ihc_quant.report.headline import (
    IN_SKIN,
    NO_ERROR_OF_DENSITY,
    NOT_REVIEWED,
    advice,
    headline_cards,
    leading_part,
    leading_ratio,
    percent_warning,
)
from ihc_quant.report.page_head import make_head
from ihc_quant.report.page_results import analysed_chapter, results_chapter
from ihc_quant.report.page_together import bounds_chapter, ratios_chapter

FEW = "insufficient: 5 cells, fewer than 100"
LOW = "low count: 300 cells, fewer than 500"


def ccr4_of(report: BiopsyReport) -> Scored:
    outcome = report.outcomes[2]
    assert isinstance(outcome, Scored)
    return outcome


def with_ccr4(report: BiopsyReport, section: Scored) -> BiopsyReport:
    return replace(report, outcomes=(*report.outcomes[:2], section, *report.outcomes[3:]))


def with_infiltrate(report: BiopsyReport, *cautions: str) -> BiopsyReport:
    section = ccr4_of(report)
    part = RegionScore(AnalysedRegion("infiltrate", "drawn"), replace(section.score, cautions=cautions))
    return with_ccr4(report, replace(section, compartments=(part,)))


def words_of(report: BiopsyReport) -> list[str]:
    return [" | ".join(line.text for line in card.lines) for card in headline_cards(report)[0]]


def test_a_drawn_infiltrate_with_too_few_cells_does_not_lead(skin_report: BiopsyReport) -> None:
    enough, few = with_infiltrate(skin_report), with_infiltrate(skin_report, FEW)
    assert leading_part(ccr4_of(enough)).region.kind == "infiltrate"
    assert leading_part(ccr4_of(few)).region.kind == "all tissue"
    density, percent, *_ = words_of(few)
    for card in (density, percent):
        assert "infiltrate: not evaluable: 5 cells, fewer than 100" in card
    assert IN_SKIN in percent
    assert "the drawn infiltrate holds too few cells: the density is the headline" in advice(few)
    assert advice(enough) == ""


@pytest.mark.parametrize("caution", [FEW, LOW])
def test_cautions_stand_on_the_cards_and_in_the_row(skin_report: BiopsyReport, caution: str) -> None:
    section = ccr4_of(skin_report)
    score = replace(section.score, cautions=(caution,))
    report = with_ccr4(skin_report, replace(section, score=score, compartments=()))
    density, percent, *_ = headline_cards(report)[0]
    for card in (density, percent):
        assert [line.text for line in card.lines if line.tone == "warn" and line.text == caution] == [caution]
    assert caution in str(results_chapter(report).blocks[0])


def test_a_control_with_few_cells_says_so(skin_report: BiopsyReport) -> None:
    section = ccr4_of(skin_report)
    few: MarkerScore = replace(section.score, cautions=("insufficient: 3 cells, fewer than 100",))
    report = with_ccr4(skin_report, replace(section, control=few))
    assert "insufficient: 3 cells, fewer than 100" in str(analysed_chapter(report).blocks[-2])
    assert "only 9 blocks" in str(analysed_chapter(report).blocks[-1])


@pytest.mark.parametrize("kind", ["analysed area", "epidermis", "dermis", "interfollicular"])
def test_in_skin_a_drawing_that_is_no_infiltrate_takes_no_warning_away(skin_report: BiopsyReport, kind: str) -> None:
    section = ccr4_of(skin_report)
    part = RegionScore(AnalysedRegion(kind, "drawn"), section.score)
    assert percent_warning("skin", part) == IN_SKIN
    assert percent_warning("lymph_node", part) == ""
    only = AnalysedRegion(kind, "drawn")
    report = with_ccr4(skin_report, replace(section, region=only, compartments=()))
    assert advice(report)
    assert IN_SKIN in words_of(report)[1]
    rows = str(results_chapter(report).blocks[0])
    assert IN_SKIN in rows


@pytest.mark.parametrize("kind", ["infiltrate", "tumour"])
def test_a_drawn_infiltrate_or_tumour_is_read_as_it_is(skin_report: BiopsyReport, kind: str) -> None:
    score = ccr4_of(skin_report).score
    assert percent_warning("skin", RegionScore(AnalysedRegion(kind, "drawn"), score)) == ""
    assert percent_warning("skin", RegionScore(AnalysedRegion(kind, "proposed"), score)) == NOT_REVIEWED


def with_error(estimate: Estimate) -> Estimate:
    interval = Interval(0.1, 900.0, 0.95, "sampling + measurement, simulated", False, "not validated for CCR4")
    return replace(estimate, intervals=(*estimate.intervals, interval))


def test_density_and_ratio_show_their_measurement_error_or_say_that_it_is_not_known(skin_report: BiopsyReport) -> None:
    density, _, *ratios = words_of(skin_report)
    assert all(NO_ERROR_OF_DENSITY in card for card in (density, *ratios))
    assert str(ratios_chapter(skin_report.panel)).count(NO_ERROR_OF_DENSITY) == 2
    section, panel = ccr4_of(skin_report), skin_report.panel
    score = replace(section.score, positive_density_per_mm2=with_error(section.score.positive_density_per_mm2))
    known = tuple(replace(each, ratio=with_error(each.ratio)) for each in panel.ratios)
    report = with_ccr4(replace(skin_report, panel=replace(panel, ratios=known)), replace(section, score=score))
    density, _, *ratios = words_of(report)
    assert "Sampling + measurement <1–900" in density
    assert all("Sampling + measurement 0.10–900.00" in card for card in ratios)
    assert not any(NO_ERROR_OF_DENSITY in card for card in (density, *ratios))
    assert NO_ERROR_OF_DENSITY not in str(ratios_chapter(report.panel))


def figure_of(report: BiopsyReport) -> str:
    return next(frame.figure for frame in make_head(report, {}).frames if frame.title == "CCR4")


def ratio(one: str, other: str, region: AnalysedRegion | None, value: float | None = 0.5, *said: str) -> DensityRatio:
    sides = [CountedSection(slide, marker, region) for slide, marker in ((one, "CCR4"), (other, "CD4"))]
    figure = Estimate(value, "ratio", reason="" if value is not None else "the density of CD4+ cells on B is 0")
    return DensityRatio(sides[0], sides[1], figure, said)


def with_ratios(report: BiopsyReport, *ratios: DensityRatio) -> str:
    return words_of(replace(report, panel=BiopsyPanel(ratios=ratios)))[2]


def test_of_several_pairs_the_card_names_one_whatever_their_order(skin_report: BiopsyReport) -> None:
    pairs = [ratio("C1", "D1", AnalysedRegion(), 0.25), ratio("C1", "D2", AnalysedRegion()), ratio("C2", "D1", None)]
    cards = {with_ratios(skin_report, *order) for order in permutations(pairs)}
    assert len(cards) == 1
    card = cards.pop()
    assert card.startswith("0.25 | C1 over D1: 1 of 3, all below | over all tissue")


def test_a_lone_pair_needs_no_name(skin_report: BiopsyReport) -> None:
    assert "1 of" not in with_ratios(skin_report, ratio("C1", "D1", AnalysedRegion()))


def test_a_pair_refused_over_two_regions_is_one_pair(skin_report: BiopsyReport) -> None:
    drawn = ratio("C1", "D1", AnalysedRegion("analysed area", "drawn"), None)
    unscored = ratio("C1", "D1", None, None)
    pairs = [drawn, ratio("C1", "D1", AnalysedRegion(), None), unscored]
    assert leading_ratio("CCR4:CD4", pairs) == (drawn, 1)
    assert "1 of" not in with_ratios(skin_report, *pairs)
    assert leading_ratio("CCR4:CD4", [*pairs, ratio("C1", "D2", None, None)])[1] == 2


@pytest.mark.parametrize(("one", "other"), [("", ""), ("C1", ""), ("", "D1")])
def test_a_card_without_a_section_of_a_marker_names_no_pair(skin_report: BiopsyReport, one: str, other: str) -> None:
    region = AnalysedRegion() if one or other else None
    refused = ratio(one, other, region, None)
    refused = replace(refused, ratio=Estimate(None, "ratio", reason="the biopsy has no CD4 section"))
    more = replace(refused, numerator=replace(refused.numerator, slide_id=one and "C2"))
    assert leading_ratio("CCR4:CD4", [refused, replace(refused)]) == (refused, 1 if one and other else 0)
    card = with_ratios(skin_report, refused, more)
    assert card == "not evaluable | the biopsy has no CD4 section | serial-section ratio, not a fraction of cells"


@pytest.mark.parametrize("missing", ["numerator", "denominator"])
def test_a_refused_row_names_the_region_of_the_section_that_has_it(missing: str) -> None:
    refused = ratio("C1", "D1", AnalysedRegion("tumour", "drawn"), None)
    refused = replace(refused, **{missing: replace(getattr(refused, missing), region=None)})
    assert "tumour (drawn)" in str(ratios_chapter(BiopsyPanel(ratios=(refused,))))
    bounds = CoexpressionBounds(refused.numerator, refused.denominator, None, None, "no tumour was drawn on it")
    assert "tumour (drawn)" in str(bounds_chapter(BiopsyPanel(bounds=(bounds,))))


def test_limits_beside_the_headline_and_in_the_panel_say_that_they_are_unreliable(skin_report: BiopsyReport) -> None:
    section = ccr4_of(skin_report)
    few = Interval(0.1, 0.2, 0.95, "spatial block bootstrap", False, "19 blocks; at least 20 are wanted")
    sure = Interval(0.09, 0.21, 0.95, "Wilson")

    def scored(*intervals: Interval) -> MarkerScore:
        of_density = tuple(replace(each, low=1e4 * each.low, high=1e4 * each.high) for each in intervals)
        return replace(
            section.score,
            positive_fraction=Estimate(0.15, "fraction", intervals),
            positive_density_per_mm2=Estimate(1500.0, "cells/mm²", of_density),
        )

    part = RegionScore(AnalysedRegion("infiltrate", "proposed"), scored(sure, few))
    report = with_ccr4(skin_report, replace(section, score=scored(sure), compartments=(part,)))
    cards, notes = headline_cards(report)
    density, percent = (" | ".join(line.text for line in card.lines) for card in cards[:2])
    assert "infiltrate (proposed, not reviewed): 1,500 cells/mm² (sampling 900–2,100, unreliable: note 1)" in density
    assert "infiltrate (proposed, not reviewed): 15.0 % (sampling 9.0–21.0, unreliable: note 1)" in percent
    assert notes[0] == "Note 1: interval unreliable: 19 blocks; at least 20 are wanted."
    assert figure_of(report) == "1,500 cells/mm² (900–2,100)"
    assert figure_of(with_ccr4(report, replace(section, score=scored(sure, few), compartments=()))) == (
        "1,500 cells/mm² (900–2,100, interval unreliable)"
    )


def test_a_region_that_is_not_evaluable_leaves_no_note_behind(skin_report: BiopsyReport) -> None:
    section = ccr4_of(skin_report)
    odd = Estimate(0.5, "fraction", (Interval(0.1, 0.9, 0.95, "Wilson", False, "5 cells"),))
    score = replace(section.score, positive_fraction=odd, cautions=(FEW,))
    part = RegionScore(AnalysedRegion("infiltrate", "drawn"), score)
    assert "5 cells." not in str(headline_cards(with_ccr4(skin_report, replace(section, compartments=(part,))))[1])


def test_a_refused_ratio_is_shown_refused_whatever_was_proposed(skin_report: BiopsyReport) -> None:
    proposed = ratio("C1", "D1", AnalysedRegion("infiltrate", "proposed"), 2.0)
    refused = ratio("C1", "D1", AnalysedRegion(), None)
    card = with_ratios(skin_report, proposed, refused)
    assert card.startswith("not evaluable | the density of CD4+ cells on B is 0 | over all tissue")
    assert leading_ratio("CCR4:CD4", [proposed]) == (None, 0)


def test_a_ratio_over_a_drawn_infiltrate_leads_unless_it_has_too_few_cells() -> None:
    whole = ratio("C1", "D1", AnalysedRegion("analysed area", "drawn"))
    drawn = ratio("C1", "D1", AnalysedRegion("infiltrate", "drawn"), 1.5)
    assert leading_ratio("CCR4:CD4", [whole, drawn]) == (drawn, 1)
    few = replace(drawn, warnings=(f"C1 (CCR4): {FEW}.",))
    assert leading_ratio("CCR4:CD4", [few, whole]) == (whole, 1)


def test_levels_together_lead_and_each_level_is_named(skin_report: BiopsyReport) -> None:
    section = ccr4_of(skin_report)
    second = replace(section, slide_id="SK2-second")
    names = [outcome.slide_id for outcome in (*skin_report.outcomes, second)]
    level = {section.slide_id: "level 1 of 2", second.slide_id: "level 2 of 2"}
    records = tuple(SectionRecord(name, level.get(name, "")) for name in names)
    together = PooledLevels("CCR4", tuple(level), (RegionScore(AnalysedRegion(), section.score),))
    report = replace(
        skin_report,
        outcomes=(*skin_report.outcomes, second),
        sections=records,
        panel=replace(skin_report.panel, levels=(together,)),
    )
    cards = headline_cards(report)[0]
    titles = [card.title for card in cards if card.title.startswith("CCR4+ cells")]
    assert titles == [
        "CCR4+ cells per mm², 2 levels together",
        "CCR4+ cells per mm², SK2-CCR4 (level 1 of 2)",
        "CCR4+ cells per mm², SK2-second (level 2 of 2)",
    ]
    assert [card.title for card in cards if card.lead] == titles[:1]
    apart = replace(report, panel=replace(report.panel, levels=(PooledLevels("CCR4", tuple(level), (), "why"),)))
    assert [card.title for card in headline_cards(apart)[0] if card.lead] == titles[1:]
