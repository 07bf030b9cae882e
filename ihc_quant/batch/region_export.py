"""The regions of a slide, the proposed infiltrate among them, as a file for QuPath that is read back as annotations."""

import hashlib
from pathlib import Path

from ihc_quant.annotation.regions_geojson import regions_to_geojson
from ihc_quant.batch.cell_store import CELLS_FILE, read_columns
from ihc_quant.batch.derivation import kept_regions
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.outputs import write_whole, writing
from ihc_quant.batch.pixel_store import load_fragments
from ihc_quant.batch.region_store import KeptRegions
from ihc_quant.batch.section_placing import place_section
from ihc_quant.domain.geometry import Point
from ihc_quant.domain.outcome import Scored
from ihc_quant.errors import OutputError
from ihc_quant.scoring.section_parts import find_proposed

EXPORT_FILE = "regions.geojson"
"""Beside the slide's results."""

CELL_COLUMNS = ("x_um", "y_um", "x_l0", "y_l0", "area_um2", "fragment")


def export_regions(folder: Path) -> Path | None:
    """Write the regions of a slide as GeoJSON, drawn ones as drawn, and a proposed infiltrate after them.

    Parameters
    ----------
    folder : Path
        Results of a slide.

    Returns
    -------
    Path or None
        The file; None where nothing was drawn or proposed.

    Raises
    ------
    OutputError
        Where results cannot be read, the file cannot be written, or another one of its name lies there, which may hold
        a person's corrections.
    """
    data = _exported(folder)
    if data is None:
        return None
    path = folder / EXPORT_FILE
    with writing(path):
        differs = path.exists() and path.read_bytes() != data
    if differs:
        raise OutputError(
            f"{path}: a file with other regions lies there and may hold corrections; move it out of the results or "
            "delete it."
        )
    write_whole(path, data)
    return path


def is_own_export(path: Path, drawn: KeptRegions) -> bool:
    """Return whether a file in a slide's folder is what its regions are exported as, changed and named by nobody.

    Parameters
    ----------
    path : Path
        Of the export.
    drawn : KeptRegions
        What the slide is to be scored with; a file that holds it is a person's word, as it stands.

    Raises
    ------
    OutputError
        Where results cannot be read.
    """
    with writing(path):
        data = path.read_bytes() if path.is_file() else None
    if data is None or hashlib.sha256(data).hexdigest() == drawn.file_sha256:
        return False
    return data == _exported(path.parent)


def _exported(folder: Path) -> bytes | None:
    """Return the regions of a slide as GeoJSON; None where nothing was drawn or proposed."""
    outcome, measurement, _ = read_slide_json(folder)
    kept = kept_regions(folder, measurement)
    regions = list(kept.regions.drawn)
    if isinstance(outcome, Scored) and any(part.region.origin == "proposed" for part in outcome.parts):
        tissue = load_fragments(folder, measurement.overview_grid)
        cells = read_columns(folder / CELLS_FILE, list(CELL_COLUMNS))
        placed = place_section(folder, measurement, tissue, kept, cells)
        proposed = find_proposed(cells, placed.cells, placed.tissue, tissue.grid)
        regions += [] if proposed is None else [proposed.region]
    if not regions:
        return None
    x0, y0, _, _ = measurement.facts.bounds_l0
    return regions_to_geojson(regions, Point(x0, y0)).encode()
