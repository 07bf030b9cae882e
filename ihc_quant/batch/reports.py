"""The reports of a run: a page and a JSON file a biopsy, and the cohort; written again from disk alone.

``report.json`` keeps what the manifest says of a biopsy, so that neither manifest nor slides nor network are needed to
write every report again after ``rescore`` or with a new version of the page.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ihc_quant.batch.biopsies import bare_biopsies, complete_report, slide_folder
from ihc_quant.batch.clinical import read_clinical
from ihc_quant.batch.cohort import CohortRecord, read_cohort_record, write_cohort
from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.outputs import folder_name, write_whole, writing
from ihc_quant.batch.page_store import load_pictures
from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.errors import OutputError
from ihc_quant.report.biopsy_page import render_biopsy
from ihc_quant.report.biopsy_pdf import PdfMissing, render_pdf
from ihc_quant.report.report_json import report_from_json, report_json
from ihc_quant.report.slide_pictures import SlidePictures

BIOPSIES_FOLDER = "biopsies"
PAGE_FILE, REPORT_FILE, PDF_FILE = "report.html", "report.json", "report.pdf"

WRITERS = 4
"""Reports that are written at once; each holds the pictures of one biopsy."""

_ONE_PDF = Lock()
"""ReportLab keeps fonts and settings for the whole process."""

Tell = Callable[[str], None]
"""Called with a sentence that a user should read, about the clinical table or PDFs."""


def write_reports(
    rows: Sequence[ManifestRow],
    outcomes: Mapping[str, SlideOutcome],
    out: Path,
    clinical: Path | None = None,
    *,
    pdf: bool = False,
    tell: Tell = lambda _: None,
) -> list[Path]:
    """Write page and JSON of every biopsy of a manifest, and the cohort; a PDF that is there is written again too.

    Parameters
    ----------
    rows : sequence of ManifestRow
        The sections, in the order in which the reports show them.
    outcomes : mapping of slide_id to SlideOutcome
        What became of each; their results lie in ``out``.
    out : Path
        Output folder of the run.
    clinical : Path or None
        Clinical table to join.
    pdf : bool
        Whether a PDF is written beside each page.
    tell : callable
        See ``Tell``.

    Returns
    -------
    list of Path
        The pages, in the order of the manifest.

    Raises
    ------
    ManifestError
        Where the clinical table has faults; nothing is written then.
    OutputError
        Where results cannot be read back or a report cannot be written.
    """
    table = None if clinical is None else read_clinical(clinical)
    bare = bare_biopsies(rows, outcomes)
    return _write(bare, CohortRecord(tuple(each.biopsy_id for each in bare), table), out, tell, pdf=pdf)


def rewrite_reports(out: Path, clinical: Path | None = None, *, tell: Tell = lambda _: None) -> list[Path]:
    """Write the reports of a run again, from its earlier reports and its slides' results of now.

    Parameters
    ----------
    out : Path
        Output folder of the run.
    clinical : Path or None
        Clinical table to join in the place of the earlier one, which is kept in ``out``.
    tell : callable
        See ``Tell``.

    Returns
    -------
    list of Path
        The pages, in the order of the cohort; none where the run wrote no reports.

    Raises
    ------
    ManifestError, OutputError
        As ``write_reports``.
    """
    table = None if clinical is None else read_clinical(clinical)
    found = sorted((out / BIOPSIES_FOLDER).glob(f"[!.]*/{REPORT_FILE}"))
    earlier = {bare.biopsy_id: bare for bare in map(read_report, found)}
    if not earlier:
        return []
    kept = read_cohort_record(out) or CohortRecord(tuple(earlier))
    cohort = tuple(name for name in kept.biopsies if name in earlier)
    # Pages of an earlier manifest do not stand in the cohort, and must not go on showing figures of earlier settings.
    others = tuple(name for name in earlier if name not in cohort)
    bare = [earlier[name] for name in (*cohort, *others)]
    return _write(bare, CohortRecord(cohort, table or kept.clinical), out, tell)


def read_report(path: Path) -> BiopsyReport:
    """Return the report of a biopsy.

    Raises
    ------
    OutputError
        Where it cannot be read back.
    """
    try:
        return report_from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, AttributeError, RecursionError, OutputError) as error:
        raise OutputError(f"{path}: this report cannot be read back; write it again from its manifest.") from error


@dataclass(frozen=True, slots=True)
class _Written:
    """What was written of a biopsy; ``told`` is why its PDF is missing."""

    report: BiopsyReport
    page: Path
    told: tuple[str, ...] = ()


def _write(
    bare: Sequence[BiopsyReport], record: CohortRecord, out: Path, tell: Tell, *, pdf: bool = False
) -> list[Path]:
    # Pictures are decoded and encoded outside the interpreter's lock.
    with ThreadPoolExecutor(min(WRITERS, os.cpu_count() or 1)) as pool:
        written = list(pool.map(lambda each: _write_report(each, out, pdf), bare))
    for sentence in dict.fromkeys(sentence for each in written for sentence in each.told):
        tell(sentence)
    write_cohort([each.report for each in written], record, out, tell)
    return [each.page for each in written]


def _write_report(bare: BiopsyReport, out: Path, pdf: bool) -> _Written:
    """Write the report of a biopsy."""
    report = complete_report(bare, out)
    pictures = {
        outcome.slide_id: load_pictures(slide_folder(outcome, out))
        for outcome in report.outcomes
        if not isinstance(outcome, Failed)
    }
    target = out / BIOPSIES_FOLDER / folder_name(report.biopsy_id)
    text = json.dumps(report_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(target / REPORT_FILE, (text + "\n").encode())
    earlier = _bytes_of(target / PAGE_FILE)
    page = render_biopsy(report, pictures).encode()
    write_whole(target / PAGE_FILE, page)
    told: tuple[str, ...] = ()
    if pdf or (target / PDF_FILE).exists():
        told = _write_pdf(target / PDF_FILE, report, pictures, outdated=page != earlier)
    return _Written(report, target / PAGE_FILE, told)


def _bytes_of(path: Path) -> bytes:
    """Return a file; nothing where it is not there."""
    with writing(path):
        return path.read_bytes() if path.exists() else b""


def _write_pdf(
    path: Path, report: BiopsyReport, pictures: Mapping[str, SlidePictures], *, outdated: bool
) -> tuple[str, ...]:
    """Write the PDF of a biopsy; return why it could not be made, and what that means for an outdated one."""
    with _ONE_PDF:
        made = render_pdf(report, pictures)
    if not isinstance(made, PdfMissing):
        write_whole(path, made)
        return ()
    if not (outdated and path.exists()):
        return (made.reason,)
    # A PDF must not go on showing figures that the page no longer shows.
    with writing(path):
        path.unlink()
    return made.reason, f"The PDF of biopsy {report.biopsy_id} was removed: its page has changed since."
