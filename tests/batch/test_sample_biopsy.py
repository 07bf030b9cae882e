"""The shipped weights on a shipped sample, from slides to report; the truth is known because it is painted."""

import json
from pathlib import Path

from ihc_quant.batch.manifest import read_manifest
from ihc_quant.batch.reports import read_report, write_reports
from ihc_quant.batch.section_tasks import slide_tasks
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.network.predictor import load_predictor
from ihc_quant.scoring.calls import CallRule

SAMPLES = Path(__file__).resolve().parents[2] / "slides_sample"


def test_the_true_coexpressing_fraction_lies_inside_the_bounds_of_the_report(tmp_path: Path) -> None:
    rows = [
        row for row in read_manifest(SAMPLES / "manifest.csv")
        if row.site == "skin" and row.stain.marker in ("CD4", "CCR4")
    ]  # fmt: skip
    predictor = load_predictor("default", workers=1)
    rule = CallRule(p_threshold=predictor.card.thresholds.positive)
    outcomes = {
        row.slide_id: run_slide(task, tmp_path, predictor, MeasureSettings(), rule, 1).outcome
        for row, task in zip(rows, slide_tasks(rows), strict=True)
    }
    (page,) = write_reports(rows, outcomes, tmp_path)
    report = read_report(page.with_name("report.json"))
    facts = json.loads((SAMPLES / "truth" / "biopsies.json").read_text(encoding="utf-8"))["biopsies"]
    (truth,) = (each for each in facts if each["biopsy_id"] == report.biopsy_id)
    (bounds,) = (each for each in report.panel.bounds if each.one.region and each.one.region.origin == "tissue")
    assert bounds.widened is not None
    assert bounds.widened.low <= truth["fraction_cd4_and_ccr4_in_slab"] <= bounds.widened.high
    assert bounds.widened.high < 1, "the bounds say something"
    assert report.missing == ("it has no CD8 section",)
