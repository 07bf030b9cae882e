"""Reports of a run: written from a manifest, and again from disk alone, to the same bytes."""

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.reports import read_report, rewrite_reports, write_reports
from ihc_quant.batch.rescoring import rescore
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import Failed, Scored, SlideOutcome
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import ManifestError, OutputError
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.report.biopsy_pdf import PdfMissing
from ihc_quant.report.json_schema import SCHEMA_FILE
from ihc_quant.report.report_json import report_from_json
from ihc_quant.scoring.calls import CallRule

CLINICAL = """patient_id,day,timepoint,cd3neg_cd4pos_1e9_l,aec_1e9_l,proviral_load,response_stated
P-1,0,treatment_start,4.624,30.0,,
P-1,90,last_infusion,0.003,,12,complete
P-9,0,treatment_start,1.0,,,
"""


def row(biopsy: str, marker: str, index: int, patient: str = "P-1") -> ManifestRow:
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    details = (("clone", "1G1"), ("section_index", str(index)), ("section_thickness_um", "4"))
    return ManifestRow(f"{biopsy}-{marker}", biopsy, patient, "skin", stain, Path("gone.tif"), None, None, details,
                       section_index=index, section_thickness_um=4.0, biopsy_day=-3)  # fmt: skip


# Not in alphabetical order.
ROWS = [
    *(row("z1", marker, index) for index, marker in enumerate(("CD4", "CD8", "CCR4"), start=1)),
    row("a2", "CCR4", 1, "P-2"),
]


@pytest.fixture(scope="module")
def scored_run(tiny_slide: Path, painted_predictor: MapPredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    for each in ROWS:
        task = SlideTask(tiny_slide, each.stain, each.slide_id)
        run = run_slide(task, out, painted_predictor, MeasureSettings(tile_px=256), CallRule(), 1)
        assert run.error is None
    return out


@pytest.fixture
def out(scored_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored_run, tmp_path / "out"))


def outcomes_in(out: Path) -> dict[str, SlideOutcome]:
    return {each.slide_id: read_slide_json(out / "slides" / each.slide_id)[0] for each in ROWS}


def reports_in(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in [*out.glob("biopsies/*/*"), *out.glob("cohort*")]
    }


def cohort_in(out: Path) -> list[dict[str, str]]:
    with (out / "cohort.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_manifest_gives_pages_json_and_cohort(out: Path) -> None:
    pages = write_reports(ROWS, outcomes_in(out), out)
    assert [page.relative_to(out).as_posix() for page in pages] == [
        "biopsies/z1/report.html",
        "biopsies/a2/report.html",
    ]
    assert set(reports_in(out)) == {
        *(f"biopsies/{name}/report.{kind}" for name in ("z1", "a2") for kind in ("html", "json")),
        "cohort.csv", "cohort.parquet", "cohort_dictionary.csv", "cohort.json",
    }  # fmt: skip
    first, second = cohort_in(out)
    assert (first["biopsy_id"], second["biopsy_id"]) == ("z1", "a2")
    assert (first["complete"], first["biopsy_day"]) == ("true", "-3")
    assert float(first["ccr4_cd4_density_ratio"]) == 1.0, "the same slide thrice"
    assert second["ccr4_cd4_density_ratio_reason"] == "the biopsy has no CD4 section"
    assert "needs a drawn or confirmed infiltrate" in first["ccr4_scheme_geller_2020_infiltrate_25"]
    assert pq.read_table(out / "cohort.parquet")["biopsy_id"].to_pylist() == ["z1", "a2"]
    report = read_report(out / "biopsies" / "z1" / "report.json")
    assert report.complete
    assert len(report.panel.ratios) == 2 * len({ratio.numerator.region for ratio in report.panel.ratios})
    assert report.sections[0].details["clone"] == "1G1"
    assert "µm per pixel" in report.sections[0].scan
    assert any("melanin" in flag for flag in report.flags)


def test_a_real_report_keeps_to_the_schema_and_comes_back_exactly(out: Path) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    validator = Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    for path in out.glob("biopsies/*/report.json"):
        values = json.loads(path.read_bytes())
        assert [fault.message for fault in validator.iter_errors(values)] == []
        assert report_from_json(values) == read_report(path)


def test_written_again_from_disk_alone_every_byte_is_the_same(out: Path, tmp_path: Path) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text(CLINICAL, encoding="utf-8")
    pages = write_reports(ROWS, outcomes_in(out), out, table)
    written = reports_in(out)
    table.unlink()
    assert rewrite_reports(out) == pages
    assert reports_in(out) == written
    write_reports(list(reversed(ROWS)), outcomes_in(out), out)
    assert reports_in(out) != written


def test_a_pdf_stands_beside_the_page_and_follows_it(out: Path) -> None:
    pytest.importorskip("reportlab")
    told = list[str]()
    write_reports(ROWS, outcomes_in(out), out, pdf=True, tell=told.append)
    paths = [out / "biopsies" / name / "report.pdf" for name in ("z1", "a2")]
    before = [path.read_bytes() for path in paths]
    assert all(data.startswith(b"%PDF-") for data in before)
    paths[1].unlink()
    rescore(out / "slides" / "z1-CCR4", lambda _: CallRule(p_threshold=0.95))
    assert paths[0].read_bytes() != before[0], "a PDF that is there shows the figures of now"
    assert not paths[1].exists(), "where none is there none is written"
    assert told == []


def test_without_the_library_of_pdfs_one_line_says_so(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    before, told = reports_in(out), list[str]()
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setitem(sys.modules, "reportlab.lib.pagesizes", None)
    write_reports(ROWS, outcomes_in(out), out, pdf=True, tell=told.append)
    assert told == [PdfMissing().reason]
    assert reports_in(out) == before


def test_a_pdf_that_cannot_follow_its_page_is_removed_and_this_is_told(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    paths, told = [out / "biopsies" / name / "report.pdf" for name in ("z1", "a2")], list[str]()
    for path in paths:
        path.write_bytes(b"%PDF-earlier")
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setitem(sys.modules, "reportlab.lib.pagesizes", None)
    rescore(out / "slides" / "z1-CCR4", lambda _: CallRule(p_threshold=0.95), tell=told.append)
    assert [path.exists() for path in paths] == [False, True]
    assert told == [PdfMissing().reason, "The PDF of biopsy z1 was removed: its page has changed since."]


def test_a_failed_section_stays_failed_whatever_lies_in_its_folder(out: Path) -> None:
    outcomes = outcomes_in(out)
    failed = Failed("z1-CD8", outcomes["z1-CD8"].stain, "the file is empty; copy it anew")
    write_reports(ROWS, {**outcomes, "z1-CD8": failed}, out)
    rewrite_reports(out)
    report = read_report(out / "biopsies" / "z1" / "report.json")
    assert report.outcomes[1] == failed
    assert not report.complete
    (first, _) = cohort_in(out)
    assert first["cd4_cd8_density_ratio_reason"] == "z1-CD8 (CD8) failed: the file is empty; copy it anew"
    assert (first["complete"], first["cd8_status"]) == ("false", "incomplete")


def test_reports_follow_other_settings(out: Path) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    before = reports_in(out)
    rescore(out / "slides" / "z1-CCR4", lambda _: CallRule(p_threshold=0.95))
    report = read_report(out / "biopsies" / "z1" / "report.json")
    now = outcomes_in(out)["z1-CCR4"]
    assert isinstance(now, Scored)
    assert report.outcomes[2] == now
    assert cohort_in(out)[0]["ccr4_positive_cells"] == str(now.score.counts.positive)
    rescore(out / "slides" / "z1-CCR4", lambda threshold: CallRule(p_threshold=threshold))
    assert reports_in(out) == before


def test_blood_is_joined_kept_and_only_that_of_the_cohort(out: Path, tmp_path: Path) -> None:
    table, told = tmp_path / "clinical.csv", list[str]()
    table.write_text(CLINICAL, encoding="utf-8")
    write_reports(ROWS, outcomes_in(out), out, table, tell=told.append)
    assert any("P-9" in sentence for sentence in told)
    assert b"P-9" not in (out / "cohort.json").read_bytes()
    first, second = cohort_in(out)
    assert (first["blood_aec_1e9_l"], first["blood_aec_1e9_l_offset_days"]) == ("30.0", "3")
    assert first["blood_response"] == "at least partial; complete not evaluable"
    assert first["response_stated"] == "complete"
    assert "blood_proviral_load" in first
    assert (second["blood_aec_1e9_l"], second["blood_response"]) == ("", "not evaluable")
    assert "not in the clinical table" in second["blood_notes"]
    table.write_text(CLINICAL.replace("30.0", "31.5"), encoding="utf-8")
    rewrite_reports(out, table)
    assert cohort_in(out)[0]["blood_aec_1e9_l"] == "31.5"


def test_a_faulty_clinical_table_stops_before_anything_is_written(out: Path, tmp_path: Path) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text("patient_id,day\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="timepoint"):
        write_reports(ROWS, outcomes_in(out), out, table)
    assert reports_in(out) == {}


def test_biopsies_of_an_earlier_manifest_leave_the_cohort_and_keep_true_pages(out: Path) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    write_reports(ROWS[:3], outcomes_in(out), out)
    earlier = (out / "biopsies" / "a2" / "report.json").read_bytes()
    rescore(out / "slides" / "a2-CCR4", lambda _: CallRule(p_threshold=0.95))
    assert [each["biopsy_id"] for each in cohort_in(out)] == ["z1"]
    assert (out / "biopsies" / "a2" / "report.json").read_bytes() != earlier


def test_levels_of_one_block_are_named_and_not_averaged(out: Path) -> None:
    level = replace(ROWS[3], slide_id="a2-CCR4", biopsy_id="z1", patient_id="P-1", section_index=4)
    write_reports([*ROWS[:3], level], outcomes_in(out), out)
    report = read_report(out / "biopsies" / "z1" / "report.json")
    assert [record.replicate for record in report.sections] == ["", "", "level 1 of 2", "level 2 of 2"]
    (first,) = cohort_in(out)
    assert first["ccr4_cd4_density_ratio"] == ""
    assert "2 pairs of sections, which are not averaged" in first["ccr4_cd4_density_ratio_reason"]
    (levels,) = report.panel.levels
    assert levels.slide_ids == ("z1-CCR4", "a2-CCR4")
    score, sections = levels.parts[0].score, [each.score for each in report.outcomes[2:] if isinstance(each, Scored)]
    assert score.counts == sections[0].counts + sections[1].counts
    assert float(first["ccr4_positive_fraction"]) == score.positive_fraction.value
    assert float(first["ccr4_h_score_sampling_high"]) == max(each.high for each in score.h_score.intervals)
    page = (out / "biopsies" / "z1" / "report.html").read_text(encoding="utf-8")
    assert "CCR4+ cells per mm², 2 levels together" in page
    assert "CCR4+ cells per mm², a2-CCR4 (level 2 of 2)" in page
    earlier = {path: path.read_bytes() for path in sorted(out.glob("biopsies/*/report.*"))}
    rewrite_reports(out)
    assert {path: path.read_bytes() for path in earlier} == earlier


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "ihc_quant/report/0"}', "[" * 100_000])
def test_a_damaged_report_is_one_sentence_with_the_cure(out: Path, text: str) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    (out / "biopsies" / "z1" / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"z1.report\.json: this report cannot be read back; write it again[^\n]*\.$"):
        rewrite_reports(out)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "ihc_quant/cohort/1"}'])
def test_a_damaged_cohort_record_is_one_sentence_with_the_cure(out: Path, text: str) -> None:
    write_reports(ROWS, outcomes_in(out), out)
    (out / "cohort.json").write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"cohort\.json: the record of the cohort cannot be read back[^\n]*\.$"):
        rewrite_reports(out)


def test_results_without_reports_have_none_to_write_again(out: Path) -> None:
    assert rewrite_reports(out) == []
    assert reports_in(out) == {}
