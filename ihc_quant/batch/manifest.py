"""The manifest: one row a section, validated whole before any work."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc_quant.batch.outputs import folder_name
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import MARKERS, SCORED_CHROMOGENS, SITES, SectionStain
from ihc_quant.errors import ManifestError, OutputError

REQUIRED_COLUMNS: tuple[str, ...] = (
    "slide_id",
    "biopsy_id",
    "patient_id",
    "site",
    "marker",
    "chromogen",
    "slide",
)
"""Columns that every manifest has, filled in every row."""

OPTIONAL_COLUMNS: tuple[str, ...] = (
    "series",
    "fragments",
    "mpp",
    "clone",
    "epitope",
    "peroxidase_block",
    "section_index",
    "section_thickness_um",
    "biopsy_day",
    "annotations",
)
"""Columns that may be missing or empty."""

MANIFEST_COLUMNS: tuple[str, ...] = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
"""Header of a manifest, in order."""

MOST_SERIES_DIGITS = 6
"""No file holds a million images."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One section.

    Attributes
    ----------
    slide_id, biopsy_id, patient_id, site : str
    stain : SectionStain
    slide : Path
        Relative paths are taken from the manifest's folder.
    series : int or None
    mpp : Mpp or None
    details : tuple of (column, text)
        The other optional columns that are filled, as written.
    """

    slide_id: str
    biopsy_id: str
    patient_id: str
    site: str
    stain: SectionStain
    slide: Path
    series: int | None
    mpp: Mpp | None
    details: tuple[tuple[str, str], ...]


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """Read and validate a manifest.

    Raises
    ------
    ManifestError
        With every fault on a line of its own: row, column and cure.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = list(reader.fieldnames or [])
            lines = [(reader.line_num, dict(row)) for row in reader]
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: there is no such manifest; check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: the manifest cannot be read; it must be a CSV file in UTF-8.") from error
    faults = _header_faults(header)
    if faults:
        raise ManifestError("\n".join(f"{path}: {fault}" for fault in faults))
    rows: list[ManifestRow] = []
    slides: dict[str, int] = {}
    biopsies: dict[str, tuple[int, ManifestRow]] = {}
    for number, cells in lines:
        row, row_faults = _parse_row(cells, path.parent)
        if row is not None:
            # Capital letters are not told apart, because some file systems do not tell them apart in folders' names.
            first = slides.setdefault(row.slide_id.casefold(), number)
            if first != number:
                row_faults.append(f"slide_id: {row.slide_id!r} already stands in line {first}; make it unique")
            first, sibling = biopsies.setdefault(row.biopsy_id.casefold(), (number, row))
            row_faults += _sibling_faults(row, sibling, first)
            rows.append(row)
        faults += [f"line {number}, {fault}" for fault in row_faults]
    if not lines:
        faults.append("there are no rows; add one a section")
    if faults:
        raise ManifestError("\n".join(f"{path}: {fault}." for fault in faults))
    return tuple(rows)


def _header_faults(header: list[str]) -> list[str]:
    missing = [column for column in REQUIRED_COLUMNS if column not in header]
    unknown = [column for column in header if column not in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)]
    twice = [column for column in dict.fromkeys(header) if header.count(column) > 1]
    if len(header) == 1 and ";" in header[0]:
        return ["the header has semicolons between its columns; save the file with commas."]
    return [
        *(f"the column {column} is missing; add it to the header." for column in missing),
        *(f"the column {column!r} is unknown; remove it or correct its name." for column in dict.fromkeys(unknown)),
        *(f"the column {column!r} stands there more than once; keep one." for column in twice),
    ]


def _sibling_faults(row: ManifestRow, sibling: ManifestRow, line: int) -> list[str]:
    """Return where a section contradicts the first section of its biopsy, which stands in that line."""
    return [
        f"{column}: biopsy {row.biopsy_id!r} has {getattr(sibling, column)!r} in line {line}; write the same"
        for column in ("biopsy_id", "patient_id", "site")
        if getattr(row, column) != getattr(sibling, column)
    ]


def _parse_row(cells: Mapping[str | None, Any], folder: Path) -> tuple[ManifestRow | None, list[str]]:
    """Return the row, or None, and its faults as ``column: what; cure``."""
    # A row with more cells than the header has them under the key None.
    text = {column: (value or "").strip() for column, value in cells.items() if column is not None}
    if cells.get(None):
        return None, ["the row: it has more cells than the header; remove the surplus or quote commas"]
    faults = [f"{column}: it is empty; fill it in" for column in REQUIRED_COLUMNS if not text[column]]
    for column in ("slide_id", "biopsy_id"):
        try:
            folder_name(text[column] or "empty")
        except OutputError:
            faults.append(f"{column}: {text[column]!r} cannot name a folder; write a shorter one of plain characters")
    for column, allowed in (("site", SITES), ("marker", MARKERS), ("chromogen", SCORED_CHROMOGENS)):
        if text[column] and text[column] not in allowed:
            faults.append(f"{column}: {text[column]!r} is not possible; write {' or '.join(allowed)}")
    series: int | None = None
    if text.get("series"):
        if text["series"].isdecimal() and len(text["series"]) <= MOST_SERIES_DIGITS:
            series = int(text["series"])
        else:
            faults.append(f"series: {text['series']!r} is no whole number from 0; correct it or leave it empty")
    mpp: Mpp | None = None
    if text.get("mpp"):
        try:
            mpp = Mpp.square(float(text["mpp"]))
        except ValueError:
            faults.append(f"mpp: {text['mpp']!r} is no plausible number of µm per pixel; write for example 0.25")
    if text.get("fragments"):
        faults.append("fragments: sections cannot be split by fragments yet; leave it empty")
    if text.get("annotations"):
        faults.append("annotations: regions cannot be applied yet; leave it empty")
    if faults:
        return None, faults
    details = tuple(
        (column, text[column]) for column in OPTIONAL_COLUMNS if column not in ("series", "mpp") and text.get(column)
    )
    slide = Path(text["slide"])
    stain = SectionStain(text["marker"], text["chromogen"], chromogen_assumed=False)
    row = ManifestRow(
        text["slide_id"],
        text["biopsy_id"],
        text["patient_id"],
        text["site"],
        stain,
        slide if slide.is_absolute() else folder / slide,
        series,
        mpp,
        details,
    )
    return row, []
