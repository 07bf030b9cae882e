"""The cohort of a run: its tables, and the record from which they are written again without manifest."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ihc_quant.batch.outputs import write_whole, writing
from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.clinical import ClinicalTable
from ihc_quant.errors import OutputError
from ihc_quant.report.cohort_columns import cohort_columns
from ihc_quant.report.cohort_entry import CohortEntry
from ihc_quant.report.cohort_panel import cohort_ratios, cohort_schemes
from ihc_quant.report.cohort_table import cohort_csv, cohort_parquet, dictionary_csv
from ihc_quant.report.report_json import plain_json
from ihc_quant.scoring.blood_response import blood_response
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES
from ihc_quant.scoring.clinical_join import join_blood

COHORT_CSV, COHORT_PARQUET = "cohort.csv", "cohort.parquet"
DICTIONARY_FILE = "cohort_dictionary.csv"
RECORD_FILE = "cohort.json"

SCHEMA = "ihc_quant/cohort/1"
"""Name and version of the layout of ``cohort.json``."""


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """What the cohort's tables are made of besides the reports.

    Attributes
    ----------
    biopsies : tuple of str
        In the order of the rows.
    clinical : ClinicalTable or None
        What was joined.
    """

    biopsies: tuple[str, ...]
    clinical: ClinicalTable | None = None


_RECORD = TypeAdapter(CohortRecord)


def read_cohort_record(out: Path) -> CohortRecord | None:
    """Return the record of a run's cohort; None where there is none.

    Raises
    ------
    OutputError
        Where it cannot be read back.
    """
    path = out / RECORD_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_bytes())
        if values.pop("schema") == SCHEMA:
            return _RECORD.validate_json(json.dumps(values), strict=True)
    except (OSError, ValidationError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise _unreadable(path) from error
    raise _unreadable(path)


def write_cohort(
    reports: Sequence[BiopsyReport], record: CohortRecord, out: Path, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Write the cohort's tables, their data dictionary and their record.

    Parameters
    ----------
    reports : sequence of BiopsyReport
        Those of the record's biopsies, and maybe others.
    record : CohortRecord
    out : Path
        Output folder of the run.
    tell : callable
        Called with sentences about the clinical table that a user should read.

    Raises
    ------
    OutputError
        Where a table cannot be written.
    """
    by_name = {report.biopsy_id: report for report in reports}
    cohort = [by_name[name] for name in record.biopsies]
    table = record.clinical
    if table is not None:
        patients = [report.patient_id for report in cohort]
        for caution in table.cautions:
            tell(caution)
        if unknown := table.unknown_patients(patients):
            tell(f"The clinical table names patients that have no biopsy here: {', '.join(unknown)}.")
        # What is kept is what was joined, and nobody else's data.
        kept = tuple(each for each in table.records if each.patient_id in set(patients))
        table = replace(table, records=kept)
    entries = [cohort_entry(report, table) for report in cohort]
    columns = cohort_columns(() if table is None else table.series, [scheme.id for scheme in CCR4_SCHEMES])
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    values = {"schema": SCHEMA, **plain_json(CohortRecord(record.biopsies, table))}
    write_whole(out / RECORD_FILE, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
    write_whole(out / COHORT_CSV, cohort_csv(entries, columns).encode())
    write_whole(out / COHORT_PARQUET, cohort_parquet(entries, columns))
    write_whole(out / DICTIONARY_FILE, dictionary_csv(columns).encode())


def cohort_entry(report: BiopsyReport, table: ClinicalTable | None) -> CohortEntry:
    """Return what the row of a biopsy is made of."""
    ratios, schemes = cohort_ratios(report), cohort_schemes(report)
    if table is None:
        return CohortEntry(report, ratios, schemes)
    records = table.of_patient(report.patient_id)
    stated = next((each.response_stated for each in records if each.response_stated), "")
    return CohortEntry(
        report,
        ratios,
        schemes,
        join_blood(table, report.patient_id, report.biopsy_day),
        blood_response(records),
        stated,
    )


def _unreadable(path: Path) -> OutputError:
    return OutputError(f"{path}: the record of the cohort cannot be read back; write the reports from their manifest.")
