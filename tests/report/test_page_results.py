"""Sentences of the results that depend on what was found: the hot spot of none, and errors that sections share."""

from dataclasses import replace

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, PooledLevels
from ihc_quant.domain.outcome import RegionScore, Scored
from ihc_quant.domain.score import Estimate, Interval, NetworkError
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.report.page_blocks import Bullets, Facts, Table, Text
from ihc_quant.report.page_grades import errors_table
from ihc_quant.report.page_results import LEVELS_TOGETHER, results_chapter

NONE = Estimate(0.0, "cells/mm²", (Interval(0.0, 9.0, 0.95, "exact Poisson"),))


def entries_of(outcome: Scored) -> dict[str, str]:
    chapter = results_chapter(BiopsyReport("B", "P", "skin", (outcome,)))
    return {name: words for block in chapter.blocks if isinstance(block, Facts) for name, words in block.entries}


def errors_of(*statements: tuple[str, str], scored: Scored) -> list[str]:
    """Return what is known of the percentage's error, for sections of these names that state it so."""
    outcomes = [
        replace(scored, slide_id=name, score=replace(scored.score, network_error=NetworkError(statement)))
        for name, statement in statements
    ]
    return [line.text for line in errors_table(outcomes).rows[0][2].lines]


def test_where_no_cell_is_positive_no_window_is_densest(scored: Scored) -> None:
    entries = entries_of(replace(scored, hot_spot=HotSpot(NONE, 447.2, 16.0, 0.75, cells=900, tissue_um2=3.2e6)))
    assert (
        "no CD4+ cells in any window of 447 µm × 447 µm (steps of 16 µm), in 3.20 mm² of tissue in all."
        in (entries["Hot spot"])
    )
    assert "densest" not in entries["Hot spot"]
    assert "too high" not in entries["Intervals of the hot spot"]
    assert "hold for this section" in entries["Intervals of the hot spot"]


def test_a_densest_window_is_said_to_be_chosen(scored: Scored) -> None:
    density = Estimate(900.0, "cells/mm²", (Interval(700.0, 950.0, 0.95, "exact Poisson"),))
    spot = HotSpot(density, 447.2, 16.0, 0.75, 10.0, 20.0, 180, 230, 2e5)
    entries = entries_of(replace(scored, hot_spot=spot))
    assert "180 CD4+ cells in 0.200 mm² of tissue in the densest window" in entries["Hot spot"]
    assert "700–950" in entries["Intervals of the hot spot"]
    assert "tends to be too high" in entries["Intervals of the hot spot"]


def test_sections_that_say_the_same_of_other_markers_stand_together(scored: Scored) -> None:
    said = "measured on A, x; not validated for "
    assert errors_of(("1", f"{said}CD4"), ("2", f"{said}CD8"), ("3", f"{said}CD4"), scored=scored) == [
        "Measured on A, x; not validated for CD4, CD8"
    ]
    aside = "; B, y left aside, being of a single patient"
    assert errors_of(("1", f"{said}CD4{aside}"), ("2", f"{said}CD8{aside}"), scored=scored) == [
        f"Measured on A, x; not validated for CD4, CD8{aside}"
    ]
    assert errors_of(("1", "measured on C"), ("2", f"{said}CD8"), scored=scored) == [
        "Measured on C",
        "Measured on A, x; not validated for CD8",
    ]


def test_levels_together_have_a_row_of_figures_and_one_of_grades(scored: Scored) -> None:
    outcomes = (scored, replace(scored, slide_id="LN1-second"))
    names = tuple(outcome.slide_id for outcome in outcomes)
    part = RegionScore(AnalysedRegion(), scored.score)

    def blocks_with(levels: PooledLevels) -> tuple[object, ...]:
        report = BiopsyReport("B", "P", "lymph_node", outcomes, panel=BiopsyPanel(levels=(levels,)))
        return results_chapter(report).blocks

    blocks = blocks_with(PooledLevels("CD4", names, (part,)))
    results, grades = [block for block in blocks if isinstance(block, Table) and len(block.rows) == 3][:2]
    for table in (results, grades):
        assert [line.text for line in table.rows[2][0].lines[:3]] == ["CD4", "2 levels together", ", ".join(names)]
    assert any("95.4" in line.text or "9.5–15.2" in line.text for line in results.rows[2][2].lines)
    assert Text(LEVELS_TOGETHER) in blocks
    apart = blocks_with(PooledLevels("CD4", names, reason="which differ in clone, epitope or chromogen"))
    said = "CD4: 2 sections, which differ in clone, epitope or chromogen: they are not summed; the report gives each."
    assert Bullets((said,), "warn") in apart
