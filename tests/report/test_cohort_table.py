"""The cohort: safe in a spreadsheet, the same in CSV and Parquet, missing stays missing, incomplete stays visible."""

import csv
import io
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, SectionRecord
from ihc_quant.domain.clinical import SERIES_NAMES, ClinicalRecord, ClinicalTable
from ihc_quant.domain.outcome import Failed, NoTissue, Scored
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.report.cohort_columns import cohort_columns
from ihc_quant.report.cohort_entry import CohortColumn, CohortEntry
from ihc_quant.report.cohort_table import (
    DICTIONARY_HEADER,
    cohort_arrow,
    cohort_csv,
    cohort_parquet,
    dictionary_csv,
    neutralise,
    restore,
)
from ihc_quant.scoring.blood_response import blood_response
from ihc_quant.scoring.clinical_join import join_blood
from ihc_quant.scoring.levels import pool_levels

COLUMNS = cohort_columns(("proviral_load_per_100_pbmc",), ("kobe-10",))
NAMES = [column.name for column in COLUMNS]

BLOOD = ClinicalTable(
    (
        ClinicalRecord("P-07", 0, "treatment_start", (("cd3neg_cd4pos_1e9_l", 4.624),)),
        ClinicalRecord("P-07", 90, "last_infusion", (("cd3neg_cd4pos_1e9_l", 0.003),), "complete"),
        ClinicalRecord("P-07", -20, "other", (("aec_1e9_l", 30.0), ("proviral_load_per_100_pbmc", -1.5))),
    ),
    (*SERIES_NAMES, "proviral_load_per_100_pbmc"),
)


def entry_with_blood(report: BiopsyReport) -> CohortEntry:
    ratio = Estimate(1.25, "ratio", (Interval(0.9, 1.7, 0.95, "bootstrap"),))
    return CohortEntry(
        replace(report, biopsy_day=-14),
        {"CCR4:CD4": ratio, "CD4:CD8": Estimate(None, "ratio", reason="no CD8 section")},
        {"kobe-10": "indeterminate"},
        join_blood(BLOOD, report.patient_id, -14),
        blood_response(BLOOD.of_patient(report.patient_id)),
        "complete",
    )


def row_of(entry: CohortEntry) -> dict[str, str]:
    (row,) = csv.DictReader(io.StringIO(cohort_csv([entry], COLUMNS)))
    return row


def test_complete_biopsy_has_its_figures(complete_report: BiopsyReport, scored: Scored) -> None:
    row = row_of(entry_with_blood(complete_report))
    assert (row["biopsy_id"], row["complete"], row["incomplete_because"], row["biopsy_day"]) == (
        "SK1",
        "true",
        "",
        "-14",
    )
    assert (row["cd4_status"], row["cd4_cells"], row["cd4_positive_cells"]) == ("scored", "10000", "1234")
    assert (row["cd4_positive_fraction"], row["cd4_h_score"]) == ("0.1234", "19.02")
    assert (row["cd4_positive_fraction_sampling_low"], row["cd4_positive_fraction_sampling_high"]) == (
        "0.0954",
        "0.1523",
    )
    assert row["cd4_positive_fraction_measurement_high"] == "0.2011"
    assert (row["cd4_sampling_reliable"], row["cd4_measurement_reliable"]) == ("false", "false")
    assert (row["cd4_h_score_measurement_low"], row["cd4_h_score_measurement_high"]) == ("9.8", "41.7")
    assert (row["cd4_two_plus_fraction"], row["cd4_two_plus_fraction_measurement_high"]) == ("0.04", "0.09")
    assert (row["cd4_cell_density_per_mm2"], row["cd4_cell_density_per_mm2_sampling_low"]) == ("4263.16", "4180.0")
    assert "only 9 blocks" in row["cd4_notes"]
    assert (row["ccr4_status"], row["ccr4_sections"], row["ccr4_cells"]) == ("scored", "1", "10000")
    assert (row["ccr4_cd4_density_ratio"], row["ccr4_cd4_density_ratio_sampling_high"]) == ("1.25", "1.7")
    assert (row["cd4_cd8_density_ratio"], row["cd4_cd8_density_ratio_reason"]) == ("", "no CD8 section")
    assert row["ccr4_scheme_kobe_10"] == "indeterminate"
    assert (row["weights_sha256"], row["notice"]) == (scored.provenance.weights_sha256, RESEARCH_USE_ONLY)


def test_blood_stands_beside_it_with_its_offset(complete_report: BiopsyReport) -> None:
    row = row_of(entry_with_blood(complete_report))
    assert (row["blood_aec_1e9_l"], row["blood_aec_1e9_l_offset_days"]) == ("30.0", "-6")
    assert row["blood_proviral_load_per_100_pbmc"] == "-1.5"
    assert (row["blood_cd3neg_cd4pos_1e9_l"], row["blood_cd3neg_cd4pos_1e9_l_offset_days"]) == ("4.624", "14")
    assert (row["blood_lymphocytes_1e9_l"], row["blood_lymphocytes_1e9_l_offset_days"]) == ("", "")
    assert "lymphocytes_1e9_l: not measured in this patient" in row["blood_notes"]
    assert row["blood_response"] == "at least partial; complete not evaluable"
    assert row["response_stated"] == "complete"


def test_incomplete_biopsy_is_visible_and_has_no_figure_of_a_smaller_one(report: BiopsyReport) -> None:
    row = row_of(CohortEntry(report))
    assert (row["complete"], row["sections"], row["sections_scored"]) == ("false", "4", "2")
    assert row["incomplete_because"].startswith("LN1-CD8 (CD8) failed: the file states no µm per pixel")
    assert row["incomplete_because"].endswith("LN1-control (negative_control) shows no tissue")
    assert (row["cd8_status"], row["cd8_cells"], row["cd8_positive_fraction"]) == ("incomplete", "", "")
    assert row["cd4_status"] == "scored"


def test_no_cells_are_missing_and_never_zero(report: BiopsyReport) -> None:
    row = row_of(CohortEntry(report))
    assert (row["ccr4_cells"], row["ccr4_positive_fraction"], row["ccr4_h_score"]) == ("0", "", "")
    assert "positive_fraction: no cells were found" in row["ccr4_notes"]
    assert {row[name] for name in NAMES if name.startswith("blood_")} == {""}
    assert row["biopsy_day"] == ""


def test_several_sections_are_a_ratio_of_sums(scored: Scored, failed: Failed, without_tissue: NoTissue) -> None:
    levels = tuple(SectionRecord(scored.slide_id, f"level {number} of 2") for number in (1, 2))
    pooled = pool_levels("CD4", (scored, scored), levels, {}, {})
    assert pooled is not None
    panel = BiopsyPanel(levels=(pooled,))
    both = row_of(CohortEntry(BiopsyReport("B", "P", "other", (scored, scored), panel=panel, sections=levels)))
    assert (both["cd4_sections"], both["cd4_cells"], both["cd4_positive_cells"]) == ("2", "20000", "2468")
    assert both["cd4_positive_fraction"] == "0.1234"
    assert 0.11 < float(both["cd4_positive_fraction_sampling_low"]) < 0.1234
    assert "2 levels together" in both["cd4_notes"]
    assert (both["ccr4_status"], both["ccr4_sections"], both["ccr4_cells"]) == ("no section", "0", "")
    assert (both["complete"], both["incomplete_because"]) == (
        "false",
        "it has no CD8 section | it has no CCR4 section",
    )
    lost = row_of(CohortEntry(BiopsyReport("B", "P", "other", (scored, Failed("x", scored.stain, "it is torn")))))
    assert (lost["cd4_status"], lost["cd4_sections"], lost["cd4_cells"]) == ("incomplete", "2", "")


def test_formulas_stay_text_and_negative_numbers_stay_numbers(scored: Scored) -> None:
    report = BiopsyReport('=HYPERLINK("http://x")', "-7", "skin", (scored,), ("+1 flag", "x;@SUM(A1)"), biopsy_day=-14)
    text = cohort_csv([CohortEntry(report)], COLUMNS)
    assert ",-14," in text
    row = row_of(CohortEntry(report))
    assert (row["biopsy_id"], row["patient_id"]) == ('\'=HYPERLINK("http://x")', "'-7")
    assert row["flags"] == "'+1 flag | x;'@SUM(A1)"
    assert [restore(row[name]) for name in ("biopsy_id", "patient_id")] == [report.biopsy_id, report.patient_id]
    assert cohort_arrow([CohortEntry(report)], COLUMNS)["biopsy_id"].to_pylist() == [report.biopsy_id]


odd = st.text(alphabet="=+-@＝'\";, |\t\r\naé", max_size=12)


@given(text=odd)
def test_neutral_text_begins_no_formula_and_can_be_restored(text: str) -> None:
    neutral = neutralise(text)
    assert restore(neutral) == text
    for split in (neutral, *neutral.replace("\t", ";").replace("\r", ";").replace("\n", ";").split(";")):
        assert not split.lstrip(" ").startswith(("=", "+", "-", "@", "＝"))
    assert not neutral.startswith(("\t", "\r", "\n"))


@given(text=odd.filter(str.strip))
def test_csv_gives_back_what_it_was_given(text: str) -> None:
    column = CohortColumn("c", "text", "", "", "", lambda entry: text)
    stream = io.StringIO(cohort_csv([CohortEntry(BiopsyReport("B", "P", "skin", ()))], [column]), newline="")
    assert [restore(cell) for _, cell in zip((0, 1), (row[0] for row in csv.reader(stream)), strict=True)] == [
        "c",
        text,
    ]


def test_parquet_has_the_same_cells_columns_and_types(report: BiopsyReport, complete_report: BiopsyReport) -> None:
    entries = [CohortEntry(report), entry_with_blood(complete_report)]
    table = parquet.read_table(pa.BufferReader(cohort_parquet(entries, COLUMNS)))
    assert table.column_names == NAMES
    kinds = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    assert table.schema.types == [kinds[column.kind] for column in COLUMNS]
    assert table.schema.metadata == {b"notice": RESEARCH_USE_ONLY.encode()}
    read: dict[str, Any] = {"text": restore, "integer": int, "number": float, "truth": lambda cell: cell == "true"}
    rows = list(csv.DictReader(io.StringIO(cohort_csv(entries, COLUMNS))))
    for column in COLUMNS:
        assert (table.schema.field(column.name).metadata or {})[b"meaning"] == column.meaning.encode()
        cells = [read[column.kind](row[column.name]) if row[column.name] else None for row in rows]
        assert table[column.name].to_pylist() == cells


def test_bytes_are_the_same_again(report: BiopsyReport, complete_report: BiopsyReport) -> None:
    entries = [CohortEntry(report), entry_with_blood(complete_report)]
    again = cohort_columns(("proviral_load_per_100_pbmc",), ("kobe-10",))
    assert cohort_csv(entries, COLUMNS) == cohort_csv(entries, again)
    assert cohort_parquet(entries, COLUMNS) == cohort_parquet(entries, again)


def test_dictionary_explains_every_column() -> None:
    header, *rows = csv.reader(io.StringIO(dictionary_csv(COLUMNS)))
    assert tuple(header) == DICTIONARY_HEADER
    assert [row[0] for row in rows] == NAMES
    assert all(row[1] and restore(row[3]) and row[4] for row in rows)
    assert all(row[2] for row in rows if row[1] in ("integer", "number"))


def test_no_rows_are_a_header(complete_report: BiopsyReport) -> None:
    assert cohort_csv([], COLUMNS).count("\n") == 1
    assert parquet.read_table(pa.BufferReader(cohort_parquet([], COLUMNS))).num_rows == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    column = CohortColumn("c", "number", "", "", "", lambda entry: value)
    with pytest.raises(ValueError, match="c cannot be"):
        cohort_csv([CohortEntry(BiopsyReport("B", "P", "skin", ()))], [column])


def test_twice_the_same_biopsy_a_lavage_and_unknown_ratios_are_refused(complete_report: BiopsyReport) -> None:
    with pytest.raises(ValueError, match="one row"):
        cohort_csv([CohortEntry(complete_report)] * 2, COLUMNS)
    with pytest.raises(ValueError, match="no site of a biopsy"):
        CohortEntry(BiopsyReport("B", "P", "BAL", ()))
    with pytest.raises(ValueError, match="no column for the ratios"):
        CohortEntry(complete_report, ratios={"CD8:CD4": Estimate(1.0, "ratio")})
    with pytest.raises(ValueError, match="same name"):
        cohort_columns(("response",))
