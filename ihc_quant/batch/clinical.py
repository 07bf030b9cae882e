"""The clinical table: one row a blood sample of a patient, validated whole before anything is joined to it."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from ihc_quant.batch.clinical_units import Figure, row_unit_faults, table_unit_faults, unit_cautions
from ihc_quant.domain.clinical import (
    DIAGNOSIS,
    LAST_INFUSION,
    SERIES_NAMES,
    TIMEPOINTS,
    TREATMENT_START,
    ClinicalRecord,
    ClinicalTable,
)
from ihc_quant.errors import ManifestError

RESPONSE_STATED = "response_stated"

REQUIRED_COLUMNS: tuple[str, ...] = ("patient_id", "day", "timepoint")
"""Columns that every clinical table has, filled in every row."""

CLINICAL_COLUMNS: tuple[str, ...] = (*REQUIRED_COLUMNS, *SERIES_NAMES, RESPONSE_STATED)
"""Header of a clinical table, in order; further series, such as a proviral load, may follow in any place."""

SERIES_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
"""What a further series may be called, so that it can name a column of the cohort."""

KNOWN_STEMS = re.compile(r"cd3|lymph|aec|eos|response|patient|day|time")
"""A further series that begins so is one of ours in another unit or misspelt, and would be left out silently."""

NUMBER_TEXT = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?", re.ASCII)
DAY_TEXT = re.compile(r"[+-]?\d{1,5}", re.ASCII)

MOST_DAYS = 36525
"""A century. The serial numbers that spreadsheets make of dates of our time are larger."""

LONGEST_RESPONSE = 200
"""Characters of ``response_stated``."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row without faults of its own."""

    record: ClinicalRecord
    figures: Mapping[str, Figure]


def read_clinical(path: Path) -> ClinicalTable:
    """Read and validate a clinical table.

    Parameters
    ----------
    path : Path
        CSV with ``CLINICAL_COLUMNS``, of which ``REQUIRED_COLUMNS`` must be there, and further numeric series.

    Raises
    ------
    ManifestError
        With every fault on a line of its own: row, column and cure.
    """
    header, lines = _read(path)
    faults = _header_faults(header)
    if faults:
        raise ManifestError("\n".join(f"{path}: {fault}." for fault in faults))
    further = tuple(column for column in header if column not in CLINICAL_COLUMNS)
    rows: list[_Row] = []
    found: list[tuple[int, str]] = []
    for line, cells in lines:
        row, row_faults = _parse_row(line, cells, header, further)
        found += [(line, fault) for fault in row_faults]
        if row is not None:
            rows.append(row)
    found += table_unit_faults([(row.record.line, row.record.timepoint, row.figures) for row in rows])
    found += _patient_faults([row.record for row in rows])
    if not lines:
        raise ManifestError(f"{path}: there are no rows; add one a blood sample.")
    if found:
        found.sort(key=lambda fault: fault[0])
        raise ManifestError("\n".join(f"{path}: line {line}, {fault}." for line, fault in found))
    return ClinicalTable(
        tuple(row.record for row in rows),
        (*SERIES_NAMES, *further),
        unit_cautions([row.figures for row in rows]),
    )


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows that are not blank, each with its line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            return header, [
                (reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))
            ]
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: there is no such clinical table; check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: the clinical table cannot be read; it must be a CSV file in UTF-8.") from error


def _header_faults(header: Sequence[str]) -> list[str]:
    if len(header) == 1 and ";" in header[0]:
        return ["the header has semicolons between its columns; save the file with commas"]
    faults = [
        f"the column {column} is missing; add it to the header" for column in REQUIRED_COLUMNS if column not in header
    ]
    for column in dict.fromkeys(header):
        if header.count(column) > 1:
            faults.append(f"the column {column!r} stands there more than once; keep one")
        if column in CLINICAL_COLUMNS:
            continue
        if KNOWN_STEMS.match(column.casefold()):
            faults.append(
                f"the column {column!r} is unknown; convert it to one of {', '.join(CLINICAL_COLUMNS)} or remove it"
            )
        elif not SERIES_NAME.fullmatch(column):
            faults.append(
                f"the column {column!r} cannot name a series; write small letters, digits and _ with the unit, for "
                "example proviral_load_per_100_pbmc"
            )
    return faults


def _parse_row(
    line: int, cells: Sequence[str], header: Sequence[str], further: Sequence[str]
) -> tuple[_Row | None, list[str]]:
    """Return the row, or None, and its faults as ``column: what; cure``."""
    if len(cells) > len(header):
        return None, ["the row: it has more cells than the header; remove the surplus or quote commas"]
    text = dict.fromkeys(CLINICAL_COLUMNS, "") | dict(zip(header, cells, strict=False))
    faults = [f"{column}: it is empty; fill it in" for column in REQUIRED_COLUMNS if not text[column]]
    day = _parse_day(text["day"])
    if text["day"] and day is None:
        faults.append(
            f"day: {text['day']!r} is no whole number of days from the first infusion (day 0); write for example -14"
        )
    if text["timepoint"] and text["timepoint"] not in TIMEPOINTS:
        faults.append(f"timepoint: {text['timepoint']!r} is not possible; write {' or '.join(TIMEPOINTS)}")
    if len(text[RESPONSE_STATED]) > LONGEST_RESPONSE or not text[RESPONSE_STATED].isprintable():
        faults.append(f"{RESPONSE_STATED}: it is too long or has line breaks; write a few words")
    figures: dict[str, Figure] = {}
    of_figures: list[str] = []
    for series in (*SERIES_NAMES, *further):
        figure, fault = _parse_figure(series, text.get(series, ""))
        if figure is not None:
            figures[series] = figure
        of_figures += [f"{series}: {fault}"] if fault else []
    faults += of_figures or row_unit_faults(figures)
    if faults or day is None:
        return None, faults
    values = tuple((series, float(figure.value)) for series, figure in figures.items())
    record = ClinicalRecord(text["patient_id"], day, text["timepoint"], values, text[RESPONSE_STATED], line)
    return _Row(record, figures), []


def _parse_day(text: str) -> int | None:
    """Return a day; None where the text is none, or a date in disguise."""
    # Spreadsheets write U+2212 for a minus in some languages.
    plain = text.replace("−", "-")
    return int(plain) if DAY_TEXT.fullmatch(plain) and abs(int(plain)) <= MOST_DAYS else None


def _parse_figure(series: str, text: str) -> tuple[Figure | None, str]:
    """Return a number, or None where the cell is empty, and the fault as ``what; cure``."""
    if not text:
        return None, ""
    plain = text.replace("−", "-")
    if not NUMBER_TEXT.fullmatch(plain):
        return None, f"{text!r} is no number; write it with a decimal point and without unit or sign, or leave it empty"
    decimal = Decimal(plain)
    if decimal < 0 and series in SERIES_NAMES:
        return None, f"{text} is below 0; correct it or leave it empty"
    exponent = decimal.as_tuple().exponent
    assert isinstance(exponent, int), "the text is a finite number"
    return Figure(plain, Fraction(decimal), Fraction(10) ** exponent / 2), ""


def _patient_faults(records: Sequence[ClinicalRecord]) -> list[tuple[int, str]]:
    """Return what contradicts another row of the same patient, as (line, ``column: what; cure``)."""
    faults: list[tuple[int, str]] = []
    earlier: dict[str, list[ClinicalRecord]] = {}
    for record in records:
        others = earlier.setdefault(record.patient_id.casefold(), [])
        faults += [(record.line, fault) for fault in _contradictions(record, others)]
        others.append(record)
    for of_patient in earlier.values():
        faults += _order_faults(of_patient)
    return faults


def _contradictions(record: ClinicalRecord, others: Sequence[ClinicalRecord]) -> list[str]:
    """Return where a record contradicts earlier ones of its patient."""
    if not others:
        return []
    faults = []
    if record.patient_id != others[0].patient_id:
        written = f"{record.patient_id!r} is written {others[0].patient_id!r} in line {others[0].line}"
        faults.append(f"patient_id: {written}; write the same")
    for other in others:
        if other.timepoint == record.timepoint and (other.day == record.day or record.timepoint != "other"):
            faults.append(
                f"timepoint: {record.timepoint} of this patient already stands in line {other.line}; keep one of them"
            )
        elif other.day == record.day:
            faults += [
                f"{series}: line {other.line} gives another value for the same day; keep one of them"
                for series, value in record.figures
                if other.value(series) not in (None, value)
            ]
    stated = next((other for other in others if other.response_stated), None)
    if stated and record.response_stated not in ("", stated.response_stated):
        faults.append(
            f"{RESPONSE_STATED}: it is {record.response_stated!r} here and {stated.response_stated!r} in line "
            f"{stated.line}; keep one of them"
        )
    return faults


def _order_faults(records: Sequence[ClinicalRecord]) -> list[tuple[int, str]]:
    """Return time points of one patient on days on which they cannot be."""
    at = {record.timepoint: record for record in records}
    faults = [
        (at[timepoint].line, f"day: {timepoint} lies after the first infusion, which is day 0; write a day up to 0")
        for timepoint in (DIAGNOSIS, TREATMENT_START)
        if timepoint in at and at[timepoint].day > 0
    ]
    if LAST_INFUSION in at and at[LAST_INFUSION].day < 0:
        faults.append((at[LAST_INFUSION].line, "day: last_infusion lies before the first, which is day 0; correct it"))
    if DIAGNOSIS in at and TREATMENT_START in at and at[TREATMENT_START].day < at[DIAGNOSIS].day:
        line = at[DIAGNOSIS].line
        faults.append((line, "day: diagnosis lies after the start of treatment; correct one of the days"))
    return faults
