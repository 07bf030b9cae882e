"""The slides of a biopsy become one report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.outputs import folder_name, write_whole
from ihc_quant.batch.slide_job import SlideRun
from ihc_quant.domain.outcome import BiopsyReport
from ihc_quant.report.biopsy_page import SlidePictures, render_biopsy
from ihc_quant.report.report_json import report_json


def write_biopsies(rows: Sequence[ManifestRow], runs: Mapping[str, SlideRun], out: Path) -> list[Path]:
    """Write ``report.html`` and ``report.json`` of every biopsy of a manifest.

    Parameters
    ----------
    rows : sequence of ManifestRow
        The sections, in the order in which the reports show them.
    runs : mapping of slide_id to SlideRun
        What became of each.
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
        first = sections[0]
        report = BiopsyReport(
            biopsy_id, first.patient_id, first.site, tuple(runs[row.slide_id].outcome for row in sections)
        )
        folders = {row.slide_id: runs[row.slide_id].folder for row in sections}
        pictures = {
            slide_id: SlidePictures((folder / "overview.png").read_bytes(), (folder / "gallery.png").read_bytes())
            for slide_id, folder in folders.items()
            if folder is not None
        }
        target = out / "biopsies" / folder_name(biopsy_id)
        text = json.dumps(report_json(report), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(target / "report.json", (text + "\n").encode())
        write_whole(target / "report.html", render_biopsy(report, pictures).encode())
        pages.append(target / "report.html")
    return pages
