"""Measured cells in formats that other programs open."""

import os
from pathlib import Path

from ihc_quant.annotation.cells_geojson import cells_to_geojson
from ihc_quant.batch.cell_store import read_called_tiles
from ihc_quant.batch.derivation import CELLS_FILE
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.outputs import writing
from ihc_quant.domain.geometry import Point
from ihc_quant.domain.outcome import Shown

GEOJSON_FILE = "cells.geojson"


def export_geojson(folder: Path) -> Path | None:
    """Write the cells of a slide as GeoJSON for QuPath, tile by tile, whole or not at all.

    QuPath counts from the corner of the slide's bounds where a slide states bounds, so their corner is subtracted.

    Parameters
    ----------
    folder : Path
        Results of a slide.

    Returns
    -------
    Path or None
        The file; None where the section is shown and not scored.

    Raises
    ------
    OutputError
        Where results cannot be read or the file cannot be written.
    """
    outcome, measurement, _ = read_slide_json(folder)
    if isinstance(outcome, Shown):
        return None
    x0, y0, _, _ = measurement.facts.bounds_l0
    pieces = cells_to_geojson(
        read_called_tiles(folder / CELLS_FILE),
        measurement.network_um,
        measurement.mpp,
        Point(x0, y0),
        measurement.stain.marker,
    )
    path = folder / GEOJSON_FILE
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            with partial.open("w", encoding="utf-8") as stream:
                for piece in pieces:
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path
