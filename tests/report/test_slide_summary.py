"""The lines after ``score``."""

from dataclasses import replace

from ihc_quant.domain.outcome import Failed, NoTissue, Scored
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.slide_summary import summary_lines


def test_a_score_prints_its_denominator_its_intervals_and_its_cautions(scored: Scored) -> None:
    lines = summary_lines(scored)
    text = "\n".join(lines)
    assert lines[0] == "LN1-CD4: CD4, chromogen DAB (assumed)"
    assert "CD4+ cells: 1,234 of 10,000 cells on 2.35 mm² of tissue" in text
    assert (
        "12.3 % (11.7–13.0, 95 % Wilson; 9.5–15.2, 95 % block bootstrap, interval unreliable: only 9 blocks; " in text
    )
    assert "6.0–20.1, 95 % sampling + measurement, simulated, interval unreliable: not validated for CD4)" in text
    assert "uncertain calls: 8.1 %, 812 of 10,000 cells, with a probability from 0.35 to 0.85" in text
    assert "9.2 % if all of them were negative, 17.3 % if all of them were positive" in text
    assert "network's own error: measured on CD138, marrow" in text
    assert "11.8 % (9.0–14.8, 95 % m) with miscalls as on CD138, marrow; not evaluable: the correction is" in text
    assert "weights: membrane-small-1; licence: research only" in text
    assert "negative 8,766, 1+ 700, 2+ 400, 3+ 134 (cuts not validated)" in text
    assert "caution: Melanin" in text
    assert lines[-1] == RESEARCH_USE_ONLY


def test_no_cells_is_not_zero_percent(without_cells: Scored) -> None:
    text = "\n".join(summary_lines(without_cells))
    assert "percent positive: not evaluable: no cells were found" in text
    assert "0 %" not in text


def test_what_is_not_known_of_the_calls_is_said(without_cells: Scored) -> None:
    text = "\n".join(summary_lines(without_cells))
    assert "uncertain calls: not evaluable: cells were called by optical density" in text
    assert "network's own error: measurement error unknown: the card of the weights states none" in text
    assert "corrected" not in text


def test_no_tissue_and_failure_say_so(without_tissue: NoTissue, failed: Failed) -> None:
    assert "no tissue found" in summary_lines(without_tissue)[1]
    assert failed.reason in summary_lines(failed)[1]


def test_a_slide_name_cannot_steer_the_terminal(failed: Failed) -> None:
    lines = summary_lines(replace(failed, slide_id="a\x1b[2J\nb", reason="x\r\x07y"))
    assert all(line.isprintable() for line in lines)
