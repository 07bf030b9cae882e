"""Whether the files that a manifest names are there and can be what they are named as."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from ihc_quant.annotation.geojson import read_geojson
from ihc_quant.annotation.geojson_file import SUFFIXES, is_geojson
from ihc_quant.annotation.regions import regions_of
from ihc_quant.batch.manifest_agreement import Finding
from ihc_quant.batch.manifest_cells import Entry
from ihc_quant.domain.geometry import Point
from ihc_quant.errors import SettingsError, SlideUnreadable
from ihc_quant.slide.files import require_file

FILE_COLUMNS: tuple[str, ...] = ("slide", "annotations")
"""Columns that name files."""


def unusable_files(
    entries: Sequence[Entry], folder: Path, needed: Callable[[Entry], Collection[str]]
) -> Iterator[Finding]:
    """Yield the files that cannot be used. Slides are not opened; annotations are read, since that costs little.

    Parameters
    ----------
    entries : sequence of Entry
    folder : Path
        Of the manifest; relative paths start there.
    needed : callable
        Gives those of ``FILE_COLUMNS`` whose files a line needs; others are not looked at.
    """
    complaints = {"slide": _slide_fault, "annotations": _annotations_fault}
    for entry in entries:
        for column in needed(entry):
            if column in entry.values and (text := complaints[column](folder / entry.values[column])):
                yield entry.line, column, text


def _slide_fault(path: Path) -> str:
    try:
        require_file(path, "")
    except SlideUnreadable as error:
        hint = ", and write / between folders" if "\\" in path.name else ""
        return f"{path}: {error.reason}{hint}"
    return ""


def _annotations_fault(path: Path) -> str:
    if not is_geojson(path):
        return f"{path.name!r} is no GeoJSON by its name; export it from QuPath as {' or '.join(SUFFIXES[:2])}"
    try:
        # Where the slide's bounds begin is not known yet, and shifts all regions alike.
        regions_of(read_geojson(path, Point(0, 0)))
    except SettingsError as error:
        return str(error).removesuffix(".")
    return ""
