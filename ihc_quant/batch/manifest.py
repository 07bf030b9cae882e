"""The manifest: one row a section, validated whole before any work."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ihc_quant.batch.manifest_agreement import contradictions
from ihc_quant.batch.manifest_cells import CellFault, Entry, Fault, check_stain, parse_cell, stated
from ihc_quant.batch.manifest_files import FILE_COLUMNS, unusable_files
from ihc_quant.batch.manifest_table import read_table
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import NO_CHROMOGEN, UNSTAINED_MARKER, SectionStain
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

MANIFEST_COLUMNS: tuple[str, ...] = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
"""Header of a manifest, in order."""

DETAIL_COLUMNS: tuple[str, ...] = (
    "clone",
    "epitope",
    "peroxidase_block",
    "section_index",
    "section_thickness_um",
    "biopsy_day",
)
"""Columns that a report repeats."""

EMPTY_CURES = {"chromogen": "state it from the staining protocol, since any other colour would be scored as DAB"}
"""What to do about a required cell that is empty, where it is more than to fill it in."""


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
        Image of a file that holds several.
    mpp : Mpp or None
        Instead of the file's.
    details : tuple of (column, text)
        The cells of ``DETAIL_COLUMNS`` that are filled; numbers in plain form.
    fragments : tuple of int
        Numbers of the tissue fragments that are this section, ascending, from 1; empty for all.
    annotations : Path or None
        GeoJSON; relative paths are taken from the manifest's folder.
    section_index : int or None
        Place of the section in the order of cutting.
    section_thickness_um : float or None
    biopsy_day : int or None
        Days from the start of treatment; negative before it.
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
    fragments: tuple[int, ...] = ()
    annotations: Path | None = None
    section_index: int | None = None
    section_thickness_um: float | None = None
    biopsy_day: int | None = None


FilesNeeded = Callable[[str | None, ManifestRow | None], Collection[str]]
"""Gives those of ``FILE_COLUMNS`` whose files must be there, by slide_id and row; no row where a line has faults."""


def read_manifest(path: Path, *, need_files: bool | FilesNeeded = True) -> tuple[ManifestRow, ...]:
    """Read and validate a manifest.

    Parameters
    ----------
    path : Path
        CSV with the columns of ``REQUIRED_COLUMNS`` and any of ``OPTIONAL_COLUMNS``, in any order.
    need_files : bool or FilesNeeded
        Whether slides and annotations must be there, or which of them. Reports are written again without them.

    Raises
    ------
    ManifestError
        With every fault on a line of its own: row, column and cure. What several rows share is one line.
    """
    table = read_table(path, MANIFEST_COLUMNS)
    faults = list(_header_faults(table.header))
    entries: list[Entry] = []
    for line, cells in table.lines:
        entry, found = _parse_line(line, cells, table.header)
        faults += found
        entries.append(entry)
    findings = list(contradictions(entries, path.parent))
    if need_files:
        findings += unusable_files(entries, path.parent, lambda entry: _files_needed(entry, path.parent, need_files))
    faults += [_fault(*finding) for finding in findings]
    if not table.lines:
        faults.append(Fault(0, len(MANIFEST_COLUMNS), "", "there are no rows; add one a section"))
    if faults:
        raise ManifestError("\n".join(f"{path}: {sentence}." for sentence in _told(faults)))
    return tuple(_row(entry, path.parent) for entry in entries)


def _files_needed(entry: Entry, folder: Path, need_files: bool | FilesNeeded) -> Collection[str]:
    if not callable(need_files):
        return FILE_COLUMNS
    sound = not entry.faulty and all(column in entry.values for column in REQUIRED_COLUMNS)
    return need_files(entry.values.get("slide_id"), _row(entry, folder) if sound else None)


def _header_faults(header: Sequence[str]) -> Iterator[Fault]:
    for place, column in enumerate(REQUIRED_COLUMNS, start=-len(REQUIRED_COLUMNS)):
        if column not in header:
            yield Fault(0, place, "", f"the column {column} is missing; add it to the header")
    for place, column in enumerate(header, start=1):
        if not column:
            yield Fault(0, place, "", f"column {place} has no name; name it or remove it")
        elif header.index(column) < place - 1:
            yield Fault(0, place, "", f"the column {column!r} stands there more than once; keep one")
        elif column not in MANIFEST_COLUMNS:
            near = difflib.get_close_matches(column, [name for name in MANIFEST_COLUMNS if name not in header], n=1)
            meant = f" (is it {near[0]}?)" if near else ""
            yield Fault(0, place, "", f"the column {column!r} is unknown; remove it or correct its name{meant}")


def _parse_line(line: int, cells: Sequence[str], header: Sequence[str]) -> tuple[Entry, list[Fault]]:
    if any(cells[len(header) :]):
        # Which cells are the surplus ones is not known, so that none of them can be judged.
        what = "it has more cells than the header; remove the surplus or quote commas"
        return Entry(line, {}, frozenset(MANIFEST_COLUMNS)), [_fault(line, "the row", what)]
    # Reversed, so that of a column that stands there twice the first counts.
    texts = dict(reversed(list(zip(header, cells, strict=False))))
    values: dict[str, object] = {}
    faults: dict[str, str] = {}
    for column in MANIFEST_COLUMNS:
        text = texts.get(column, "")
        text = stated(text) if column in DETAIL_COLUMNS else text
        if text:
            try:
                values[column] = parse_cell(column, text)
            except CellFault as fault:
                faults[column] = str(fault)
        elif column in REQUIRED_COLUMNS and column in header:
            unstained = column == "chromogen" and values.get("marker") == UNSTAINED_MARKER
            cure = f"write {NO_CHROMOGEN}" if unstained else EMPTY_CURES.get(column, "fill it in")
            faults[column] = f"it is empty; {cure}"
    if stain_fault := check_stain(values):
        faults["chromogen"] = stain_fault
    entry = Entry(line, values, frozenset(faults))
    return entry, [_fault(line, column, text) for column, text in faults.items()]


def _fault(line: int, column: str, text: str) -> Fault:
    return Fault(line, MANIFEST_COLUMNS.index(column) if column in MANIFEST_COLUMNS else -1, column, text)


def _told(faults: Iterable[Fault]) -> list[str]:
    """Return one sentence for each fault, in the order of lines and columns; faults that say the same share one."""
    lines: dict[tuple[str, str], list[int]] = {}
    for fault in sorted(faults):
        lines.setdefault((fault.column, fault.text), []).append(fault.line)
    return [f"{_ranges(where)}, {column}: {text}" if column else text for (column, text), where in lines.items()]


def _ranges(lines: Sequence[int]) -> str:
    """Return line numbers for a sentence.

    Examples
    --------
    >>> _ranges([2, 3, 4, 9])
    'lines 2-4, 9'
    """
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][-1] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    text = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"line {text}" if len(lines) == 1 else f"lines {text}"


def _row(entry: Entry, folder: Path) -> ManifestRow:
    values = entry.values
    return ManifestRow(
        slide_id=values["slide_id"],
        biopsy_id=values["biopsy_id"],
        patient_id=values["patient_id"],
        site=values["site"],
        stain=SectionStain(values["marker"], values["chromogen"], chromogen_assumed=False),
        slide=folder / values["slide"],
        series=values.get("series"),
        mpp=values.get("mpp"),
        details=tuple((column, _text(values[column])) for column in DETAIL_COLUMNS if column in values),
        fragments=values.get("fragments", ()),
        annotations=folder / values["annotations"] if "annotations" in values else None,
        section_index=values.get("section_index"),
        section_thickness_um=values.get("section_thickness_um"),
        biopsy_day=values.get("biopsy_day"),
    )


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
