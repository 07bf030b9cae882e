"""The manifest: one row a section, validated whole before any work."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import CHROMOGENS, MARKERS, SITES, SectionStain
from ihc_quant.errors import ManifestError

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
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: the manifest cannot be read; it must be a CSV file in UTF-8.") from error
    faults = _header_faults(header)
    if faults:
        raise ManifestError("\n".join(f"{path}: {fault}" for fault in faults))
    rows: list[ManifestRow] = []
    seen: dict[str, int] = {}
    for number, cells in lines:
        row, row_faults = _parse_row(cells, path.parent)
        if row is not None and row.slide_id in seen:
            row_faults.append(f"slide_id: {row.slide_id!r} already stands in line {seen[row.slide_id]}; make it unique")
        elif row is not None:
            seen[row.slide_id] = number
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
    faults = [f"the column {column} is missing; add it to the header." for column in missing]
    return faults + [f"the column {column!r} is unknown; remove it or correct its name." for column in unknown]


def _parse_row(cells: Mapping[str | None, Any], folder: Path) -> tuple[ManifestRow | None, list[str]]:
    """Return the row, or None, and its faults as ``column: what; cure``."""
    # A row with more cells than the header has them under the key None.
    text = {column: (value or "").strip() for column, value in cells.items() if column is not None}
    if cells.get(None):
        return None, ["the row: it has more cells than the header; remove the surplus or quote commas"]
    faults = [f"{column}: it is empty; fill it in" for column in REQUIRED_COLUMNS if not text[column]]
    for column, allowed in (("site", SITES), ("marker", MARKERS), ("chromogen", CHROMOGENS)):
        if text[column] and text[column] not in allowed:
            faults.append(f"{column}: {text[column]!r} is unknown; write one of {', '.join(allowed)}")
    series: int | None = None
    if text.get("series"):
        if text["series"].isdecimal():
            series = int(text["series"])
        else:
            faults.append(f"series: {text['series']!r} is no whole number from 0; correct it or leave it empty")
    mpp: Mpp | None = None
    if text.get("mpp"):
        try:
            mpp = Mpp.square(float(text["mpp"]))
        except ValueError:
            faults.append(f"mpp: {text['mpp']!r} is no plausible number of µm per pixel; write for example 0.25")
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
