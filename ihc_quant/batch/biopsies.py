"""The slides of a biopsy become one report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.flags import biopsy_flags
from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import WeightsUsed, read_slide_json
from ihc_quant.batch.outputs import RESULT_FILE, SLIDES_FOLDER, folder_name, write_whole
from ihc_quant.batch.slide_job import SlideRun
from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.report.biopsy_page import SlidePictures, render_biopsy
from ihc_quant.report.report_json import outcome_from_json, report_json


def write_biopsies(rows: Sequence[ManifestRow], runs: Mapping[str, SlideRun], out: Path) -> list[Path]:
    """Write ``report.html`` and ``report.json`` of every biopsy of a manifest.

    Parameters
    ----------
    rows : sequence of ManifestRow
        The sections, in the order in which the reports show them.
    runs : mapping of slide_id to SlideRun
        What became of each; their results lie in ``out``.
    out : Path
        Output folder of the run.

    Returns
    -------
    list of Path
        The pages, in the order of the manifest.

    Raises
    ------
    OutputError
        Where a report cannot be written.
    """
    pages = []
    for biopsy_id in dict.fromkeys(row.biopsy_id for row in rows):
        sections = [row for row in rows if row.biopsy_id == biopsy_id]
        outcomes = tuple(runs[row.slide_id].outcome for row in sections)
        flags = biopsy_flags(sections) + _weights_flags(outcomes, out)
        report = BiopsyReport(biopsy_id, sections[0].patient_id, sections[0].site, outcomes, flags)
        pages.append(_write_report(report, out))
    return pages


def rewrite_biopsies(out: Path) -> list[Path]:
    """Write the reports of a run again, from its earlier reports and its slides' results of now.

    Returns
    -------
    list of Path
        The pages; none where the run wrote no reports.

    Raises
    ------
    OutputError
        Where earlier results cannot be read back, or a report cannot be written.
    """
    pages = []
    for path in sorted((out / "biopsies").glob("[!.]*/report.json")):
        with reading(path):
            values = json.loads(path.read_text(encoding="utf-8"))
            earlier = [outcome_from_json(outcome) for outcome in values["outcomes"]]
            report = BiopsyReport(
                values["biopsy_id"],
                values["patient_id"],
                values["site"],
                tuple(_outcome_now(outcome, out) for outcome in earlier),
                tuple(values["flags"]),
            )
        pages.append(_write_report(report, out))
    return pages


def _weights_flags(outcomes: Sequence[SlideOutcome], out: Path) -> tuple[str, ...]:
    """Return for each set of weights that was used what it was tested on."""
    used = [
        read_slide_json(_slide_folder(outcome, out))[1].weights
        for outcome in outcomes
        if not isinstance(outcome, Failed)
    ]
    return tuple(dict.fromkeys(map(weights_flag, used)))


def weights_flag(weights: WeightsUsed) -> str:
    """Return what weights were tested on, and which weights that were if not these themselves."""
    tested = f"Weights {weights.name} were tested on {weights.validated_for}."
    return f"{tested} The figures are those of {weights.figures_of}." if weights.figures_of else tested


def _outcome_now(earlier: SlideOutcome, out: Path) -> SlideOutcome:
    """Return what a slide's results say now; what was said earlier where it has none, or failed.

    In the folder of a slide that failed may lie the results of a run before that one.
    """
    if isinstance(earlier, Failed):
        return earlier
    folder = _slide_folder(earlier, out)
    return read_slide_json(folder)[0] if (folder / RESULT_FILE).is_file() else earlier


def _slide_folder(outcome: SlideOutcome, out: Path) -> Path:
    return out / SLIDES_FOLDER / folder_name(outcome.slide_id)


def _write_report(report: BiopsyReport, out: Path) -> Path:
    """Write the report of a biopsy and return its page."""
    pictures = {}
    for outcome in report.outcomes:
        if not isinstance(outcome, Failed):
            folder = _slide_folder(outcome, out)
            with reading(folder):
                pictures[outcome.slide_id] = SlidePictures(
                    (folder / "overview.png").read_bytes(), (folder / "gallery.png").read_bytes()
                )
    target = out / "biopsies" / folder_name(report.biopsy_id)
    text = json.dumps(report_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(target / "report.json", (text + "\n").encode())
    write_whole(target / "report.html", render_biopsy(report, pictures).encode())
    return target / "report.html"
