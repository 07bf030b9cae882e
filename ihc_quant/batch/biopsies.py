"""The sections of a biopsy become one report: what they say together, what is recorded of them, what is flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ihc_quant.batch.block_store import BLOCKS_FILE, read_blocks
from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.derivation import errors_used
from ihc_quant.batch.flags import biopsy_flags
from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import Measurement, read_slide_json
from ihc_quant.batch.outputs import SLIDES_FOLDER, folder_name
from ihc_quant.batch.panel import Blocks, biopsy_panel
from ihc_quant.batch.section_records import scan_record, section_records
from ihc_quant.domain.biopsy import BiopsyReport, SectionRecord
from ihc_quant.domain.outcome import Failed, SlideOutcome


@dataclass(frozen=True, slots=True)
class SectionResults:
    """What lies in the folder of a section's results.

    Attributes
    ----------
    outcome : SlideOutcome
    measurement : Measurement
    blocks : sequence of BlockCounts, or None
        Of the outcome's parts.
    """

    outcome: SlideOutcome
    measurement: Measurement
    blocks: Blocks


def bare_biopsies(rows: Sequence[ManifestRow], outcomes: Mapping[str, SlideOutcome]) -> list[BiopsyReport]:
    """Return the biopsies of a manifest in its order, with what the manifest says and no figures yet.

    Parameters
    ----------
    rows : sequence of ManifestRow
        The sections, in the order in which the reports show them.
    outcomes : mapping of slide_id to SlideOutcome
        One for each row.
    """
    records = section_records(rows)
    biopsies = []
    for biopsy_id in dict.fromkeys(row.biopsy_id for row in rows):
        sections = [row for row in rows if row.biopsy_id == biopsy_id]
        biopsies.append(
            BiopsyReport(
                biopsy_id,
                sections[0].patient_id,
                sections[0].site,
                tuple(outcomes[row.slide_id] for row in sections),
                sections=tuple(records[row.slide_id] for row in sections),
                biopsy_day=sections[0].biopsy_day,
            )
        )
    return biopsies


def complete_report(bare: BiopsyReport, out: Path) -> BiopsyReport:
    """Return the report of a biopsy by the results of its sections as they are now.

    Parameters
    ----------
    bare : BiopsyReport
        Its sections and what the manifest records of them; outcomes, flags and figures are those of now. A section
        that failed stays so: in its folder may lie the results of a run before that one.
    out : Path
        Output folder of the run.

    Raises
    ------
    OutputError
        Where results of a section cannot be read back.
    """
    found = [None if isinstance(one, Failed) else read_results(slide_folder(one, out)) for one in bare.outcomes]
    outcomes = tuple(earlier if now is None else now.outcome for earlier, now in zip(bare.outcomes, found, strict=True))
    manifest = bare.sections or tuple(SectionRecord(outcome.slide_id) for outcome in outcomes)
    records = tuple(
        replace(record, scan={} if now is None else scan_record(now.measurement))
        for record, now in zip(manifest, found, strict=True)
    )
    results = {now.outcome.slide_id: now for now in found if now is not None}
    blocks = {slide_id: now.blocks for slide_id, now in results.items()}
    with reading(out):  # blocks of other cells than the scores', or a rule that is none
        errors = {slide_id: errors_used(now.outcome, now.measurement) for slide_id, now in results.items()}
        panel = biopsy_panel(bare.biopsy_id, bare.site, outcomes, records, blocks, errors)
    report = replace(bare, outcomes=outcomes, sections=records, panel=panel, flags=())
    return replace(report, flags=biopsy_flags(report, {name: now.measurement for name, now in results.items()}))


def read_results(folder: Path) -> SectionResults:
    """Return the results in a section's folder.

    Raises
    ------
    OutputError
        Where they are missing or cannot be read back.
    """
    outcome, measurement, _ = read_slide_json(folder)
    blocks = read_blocks(folder) if (folder / BLOCKS_FILE).is_file() else None
    return SectionResults(outcome, measurement, blocks)


def slide_folder(outcome: SlideOutcome, out: Path) -> Path:
    """Return the folder of a section's results."""
    return out / SLIDES_FOLDER / folder_name(outcome.slide_id)
