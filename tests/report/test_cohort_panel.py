"""Figures over several sections, and of parts of a section, in one row of the cohort."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, SectionRecord
from ihc_quant.domain.outcome import LeftOut, RegionScore, Scored
from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.domain.serial_sections import AnalysedRegion, CountedSection, DensityRatio
from ihc_quant.report.cohort_columns import cohort_columns
from ihc_quant.report.cohort_entry import CohortEntry
from ihc_quant.report.cohort_panel import cohort_ratios, cohort_schemes
from ihc_quant.report.cohort_table import cohort_csv
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES
from ihc_quant.scoring.intervals import wilson_interval
from ihc_quant.scoring.levels import pool_levels
from ihc_quant.scoring.scheme_verdicts import Ccr4Reading, judge_all

ALL, INFILTRATE = AnalysedRegion(), AnalysedRegion("infiltrate", "drawn")


def ratio(
    over: tuple[str, AnalysedRegion | None],
    under: tuple[str, AnalysedRegion | None],
    value: float | None,
    reason: str = "",
) -> DensityRatio:
    (one, of_one), (other, of_other) = over, under
    return DensityRatio(
        CountedSection(one, "CCR4", of_one),
        CountedSection(other, "CD4", of_other),
        Estimate(value, "ratio", reason=reason),
    )


def report_of(scored: Scored, *ratios: DensityRatio) -> BiopsyReport:
    ccr4 = tuple(replace(scored, slide_id=name, stain=replace(scored.stain, marker="CCR4")) for name in ("c1", "c2"))
    return BiopsyReport("B", "P", "skin", (replace(scored, slide_id="d"), *ccr4), panel=BiopsyPanel(ratios))


def test_the_ratio_is_that_of_all_that_was_analysed(scored: Scored) -> None:
    report = report_of(scored, ratio(("c1", ALL), ("d", ALL), 0.7), ratio(("c1", INFILTRATE), ("d", INFILTRATE), 0.9))
    assert cohort_ratios(report)["CCR4:CD4"].value == 0.7
    assert set(cohort_ratios(report)) == {"CCR4:CD4"}


def test_two_pairs_of_sections_are_not_averaged(scored: Scored) -> None:
    report = report_of(scored, ratio(("c1", ALL), ("d", ALL), 0.7), ratio(("c2", ALL), ("d", ALL), 0.9))
    found = cohort_ratios(report)["CCR4:CD4"]
    assert found.value is None
    assert found.reason == "2 pairs of sections, which are not averaged; the report gives each"


def test_a_pair_that_is_refused_for_every_region_has_its_reason_once(scored: Scored) -> None:
    why = "the biopsy has no CD4 section"
    refused = [ratio(("c1", region), ("", None), None, why) for region in (ALL, INFILTRATE)]
    assert cohort_ratios(report_of(scored, *refused))["CCR4:CD4"].reason == why
    missing = [ratio((name, ALL), ("", None), None, why) for name in ("c1", "c2")]
    assert cohort_ratios(report_of(scored, *missing))["CCR4:CD4"].reason == why


def test_a_scheme_names_the_section_where_it_judges_several(scored: Scored) -> None:
    methods = "spatial block bootstrap", "sampling + measurement"
    limits = tuple(Interval(0.06, 0.2, 0.95, method) for method in methods)
    fraction = replace(scored.score.positive_fraction, intervals=limits)
    one = judge_all([Ccr4Reading("c1", "skin", INFILTRATE, fraction)])
    two = judge_all([Ccr4Reading(name, "skin", INFILTRATE, fraction) for name in ("c1", "c2")])
    texts, both = (cohort_schemes(replace(report_of(scored), panel=BiopsyPanel(schemes=some))) for some in (one, two))
    assert list(texts) == [scheme.id for scheme in CCR4_SCHEMES]
    assert texts["geller-2020-infiltrate-25"].startswith("low: 12.3 %")
    assert both["geller-2020-infiltrate-25"].startswith("c1: low: 12.3 %")
    assert " | c2: low" in both["geller-2020-infiltrate-25"]


def row_of(*outcomes: Scored, records: Sequence[SectionRecord] | None = None, site: str = "skin") -> dict[str, str]:
    if records is None:
        count = len(outcomes)
        records = [
            SectionRecord(outcome.slide_id, f"level {number} of {count}" if count > 1 else "", {"clone": "1G1"})
            for number, outcome in enumerate(outcomes, start=1)
        ]
    pooled = pool_levels("CD4", outcomes, records, {}, {})
    panel = BiopsyPanel(levels=() if pooled is None else (pooled,))
    report = BiopsyReport("B", "P", site, outcomes, panel=panel, sections=tuple(records))
    text = cohort_csv([CohortEntry(report)], cohort_columns())
    (row,) = csv.DictReader(io.StringIO(text))
    return row


@pytest.fixture
def with_parts(scored: Scored) -> Scored:
    intervals = (
        Interval(800.0, 1000.0, 0.95, "exact Poisson"),
        Interval(500.0, 1900.0, 0.95, "sampling + measurement, simulated", False, "not validated for CD4"),
    )
    spot = HotSpot(Estimate(912.5, "cells/mm²", intervals), 447.2, 50.0, 0.5, 10.0, 20.0, 180, 230, 2e5)
    infiltrate = RegionScore(AnalysedRegion("infiltrate", "proposed"), scored.score)
    left_out = (LeftOut("drawn exclusion", 3e5), LeftOut("pen", 2e5))
    return replace(scored, compartments=(infiltrate,), hot_spot=spot, left_out=left_out)


def test_infiltrate_hot_spot_and_what_was_left_out_have_columns(with_parts: Scored, scored: Scored) -> None:
    row = row_of(with_parts)
    assert row["cd4_infiltrate_origin"] == "proposed, not reviewed"
    assert (row["cd4_infiltrate_cells"], row["cd4_infiltrate_positive_fraction"]) == ("10000", "0.1234")
    assert row["cd4_infiltrate_positive_fraction_measurement_high"] == "0.2011"
    assert row["cd4_infiltrate_density_per_mm2_sampling_low"] == "401.2"
    assert (row["cd4_infiltrate_sampling_reliable"], row["cd4_infiltrate_measurement_reliable"]) == ("false", "false")
    assert (row["cd4_hot_spot_density_per_mm2"], row["cd4_left_out_mm2"]) == ("912.5", "0.5")
    limits = [row[f"cd4_hot_spot_density_per_mm2_{kind}"] for kind in ("sampling_low", "sampling_high")]
    limits += [row[f"cd4_hot_spot_density_per_mm2_{kind}"] for kind in ("measurement_low", "measurement_high")]
    assert limits == ["800.0", "1000.0", "500.0", "1900.0"]
    assert "hot spot: sampling + measurement, simulated: not validated for CD4" in row["cd4_notes"]
    assert "infiltrate: Melanin may count as DAB" in row["cd4_notes"]
    plain = row_of(scored)
    assert (plain["cd4_infiltrate_origin"], plain["cd4_infiltrate_cells"]) == ("", "")
    assert (plain["cd4_hot_spot_density_per_mm2"], plain["cd4_left_out_mm2"]) == ("", "0.0")
    assert (
        row_of(replace(with_parts, compartments=(replace(with_parts.compartments[0], region=INFILTRATE),)))[
            "cd4_infiltrate_origin"
        ]
        == "drawn"
    )


def test_several_sections_add_their_infiltrates_only_where_all_have_one_alike(
    with_parts: Scored, scored: Scored
) -> None:
    both = row_of(with_parts, replace(with_parts, slide_id="x"))
    assert (both["cd4_infiltrate_cells"], both["cd4_infiltrate_positive_fraction"]) == ("20000", "0.1234")
    low, high = (float(both[f"cd4_infiltrate_positive_fraction_sampling_{end}"]) for end in ("low", "high"))
    assert low < 0.1234 < high
    assert both["cd4_infiltrate_sampling_reliable"] == "false"  # no blocks were given
    assert both["cd4_hot_spot_density_per_mm2"] == ""
    assert "hot spot: several sections, which are not averaged" in both["cd4_notes"]
    mixed = row_of(with_parts, replace(scored, slide_id="x"))
    assert mixed["cd4_infiltrate_cells"] == ""
    assert "infiltrate: not every section has one of the same origin" in mixed["cd4_notes"]


def test_levels_together_have_the_intervals_of_their_sums(scored: Scored) -> None:
    row, alone = row_of(scored, replace(scored, slide_id="x")), row_of(scored)
    ends = [float(row[f"cd4_positive_fraction_sampling_{end}"]) for end in ("low", "high")]
    wilson = wilson_interval(2 * 1234, 20_000)
    assert ends == pytest.approx([wilson.low, wilson.high])
    assert (row["cd4_positive_fraction"], row["cd4_sampling_reliable"]) == (alone["cd4_positive_fraction"], "false")
    assert "2 levels together: figures are ratios of sums" in row["cd4_notes"]
    for figure in ("density_per_mm2", "h_score", "cell_density_per_mm2", "three_plus_fraction"):
        assert row[f"cd4_{figure}_sampling_low"]


def test_sections_that_are_no_replicates_are_not_summed(scored: Scored) -> None:
    one, other = replace(scored, slide_id="a"), replace(scored, slide_id="b")
    analysed = replace(other, region=AnalysedRegion("analysed area", "drawn"))
    levels = [SectionRecord(name, f"level {number} of 2") for number, name in ((1, "a"), (2, "b"))]
    unlike = [SectionRecord("a", "", {"epitope": "N-terminal"}), SectionRecord("b", "", {"epitope": "C-terminal"})]
    unnamed = [SectionRecord("a"), SectionRecord("b")]
    for second, records, why in (
        (other, unlike, "which differ in clone, epitope or chromogen"),
        (other, unnamed, "which are not named as replicates"),
        (analysed, levels, "which were analysed over different regions (all tissue, analysed area)"),
    ):
        row = row_of(one, second, records=records)
        assert (row["cd4_status"], row["cd4_sections"]) == ("scored", "2")
        assert (row["cd4_cells"], row["cd4_positive_fraction"], row["cd4_density_per_mm2"]) == ("", "", "")
        assert row["cd4_notes"] == f"2 sections, {why}: they are not summed; the report gives each"
    assert row_of(one, other, records=levels)["cd4_cells"] == "20000"


def test_reliability_of_sampling_and_of_the_networks_error_are_told_apart(scored: Scored) -> None:
    limits = Interval(0.1, 0.2, 0.95, "spatial block bootstrap"), Interval(0.0, 0.3, 0.95, "sampling + measurement")
    for doubtful in (0, 1):
        marked = tuple(replace(each, reliable=place != doubtful) for place, each in enumerate(limits))
        fraction = Estimate(0.15, "fraction", marked)
        row = row_of(replace(scored, score=replace(scored.score, positive_fraction=fraction)))
        found = row["cd4_sampling_reliable"], row["cd4_measurement_reliable"]
        assert found == (("false", "true") if doubtful == 0 else ("true", "false"))


def test_densities_and_ratios_have_limits_of_both_kinds(scored: Scored) -> None:
    limits = (
        Interval(300.0, 400.0, 0.95, "exact Poisson"),
        Interval(290.0, 380.0, 0.95, "spatial block bootstrap"),
        Interval(150.0, 800.0, 0.95, "sampling + measurement"),
    )
    estimate = Estimate(350.0, "cells/mm²", limits)
    section = replace(scored, slide_id="c1", score=replace(scored.score, positive_density_per_mm2=estimate))
    row = row_of(section)
    ends = [row[f"cd4_density_per_mm2_{kind}"] for kind in ("sampling_low", "sampling_high", "measurement_low")]
    assert (*ends, row["cd4_density_per_mm2_measurement_high"]) == ("290.0", "400.0", "150.0", "800.0")
    entry = CohortEntry(report_of(scored), ratios={"CCR4:CD4": replace(estimate, unit="ratio")})
    (row,) = csv.DictReader(io.StringIO(cohort_csv([entry], cohort_columns())))
    name = "ccr4_cd4_density_ratio"
    ends = [row[f"{name}_{kind}"] for kind in ("sampling_low", "sampling_high", "measurement_low")]
    assert (row[name], *ends, row[f"{name}_measurement_high"]) == ("350.0", "290.0", "400.0", "150.0", "800.0")
    entry = CohortEntry(report_of(scored), ratios={"CCR4:CD4": Estimate(2.0, "ratio", limits[:1])})
    (row,) = csv.DictReader(io.StringIO(cohort_csv([entry], cohort_columns())))
    assert (row[f"{name}_sampling_high"], row[f"{name}_measurement_high"]) == ("400.0", "")


def test_a_fraction_of_skin_without_a_drawn_infiltrate_is_cautioned(with_parts: Scored, scored: Scored) -> None:
    drawn = replace(with_parts, compartments=(replace(with_parts.compartments[0], region=INFILTRATE),))
    for outcome, site, cautioned in (
        (scored, "skin", True),
        (with_parts, "skin", True),
        (drawn, "skin", False),
        (scored, "lymph_node", False),
    ):
        assert ("keratinocytes" in row_of(outcome, site=site)["cd4_notes"]) is cautioned


def test_a_window_that_does_not_stand_out_says_why(with_parts: Scored) -> None:
    spot = HotSpot(Estimate(None, "cells/mm²", reason="no window holds enough tissue"), 447.2, 50.0, 0.5)
    row = row_of(replace(with_parts, hot_spot=spot))
    assert row["cd4_hot_spot_density_per_mm2"] == ""
    assert "hot spot: no window holds enough tissue" in row["cd4_notes"]
