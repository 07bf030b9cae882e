"""What a page draws of a slide, kept in its folder: density map and histogram, so that no cell table is read again."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from pydantic import TypeAdapter

from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.outputs import write_whole
from ihc_quant.batch.pixel_store import load_thumbnail, unreadable
from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.report.density_map import DensityMap
from ihc_quant.report.slide_pictures import SlidePictures, Thumbnail

DENSITY_FILE = "density.npz"
HISTOGRAM_FILE = "histogram.json"

_HISTOGRAM = TypeAdapter(OdHistogram)


def save_density(folder: Path, density: DensityMap) -> None:
    """Keep the density map of a slide; half precision is finer than any colour.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    buffer = io.BytesIO()
    per_mm2 = np.minimum(density.per_mm2, np.finfo(np.float16).max).astype(np.float16)
    np.savez_compressed(buffer, per_mm2=per_mm2, analysed=density.analysed, pixel_um=np.float64(density.pixel_um))
    write_whole(folder / DENSITY_FILE, buffer.getvalue())


def load_density(folder: Path) -> DensityMap | None:
    """Return the density map of a slide; None where none was kept.

    Raises
    ------
    OutputError
        Where it cannot be read back.
    """
    path = folder / DENSITY_FILE
    if not path.is_file():
        return None
    try:
        with reading(path), np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            return DensityMap(
                kept["per_mm2"].astype(np.float32), kept["analysed"].astype(np.bool_), float(kept["pixel_um"])
            )
    except (BadZipFile, EOFError) as error:
        raise unreadable(path) from error


def save_od_histogram(folder: Path, histogram: OdHistogram) -> None:
    """Keep the distribution of chromogen density over the cells of a slide.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    write_whole(folder / HISTOGRAM_FILE, (json.dumps(asdict(histogram), allow_nan=False) + "\n").encode())


def load_od_histogram(folder: Path) -> OdHistogram | None:
    """Return the distribution of chromogen density over the cells of a slide; None where none was kept.

    Raises
    ------
    OutputError
        Where it cannot be read back.
    """
    path = folder / HISTOGRAM_FILE
    if not path.is_file():
        return None
    with reading(path):
        return _HISTOGRAM.validate_json(path.read_bytes(), strict=True)


def load_pictures(folder: Path) -> SlidePictures:
    """Return everything that a page shows of a slide besides its figures.

    Parameters
    ----------
    folder : Path
        Of the slide's results.

    Raises
    ------
    OutputError
        Where something cannot be read back.
    """
    _, measurement, _ = read_slide_json(folder)
    rgb, density = load_thumbnail(folder), load_density(folder)
    if density is not None and density.per_mm2.shape != rgb.shape[:2]:
        raise unreadable(folder / DENSITY_FILE)
    return SlidePictures(
        _picture(folder / "overview.png"),
        _picture(folder / "gallery.png"),
        Thumbnail(rgb, measurement.overview_um),
        density,
        load_od_histogram(folder),
    )


def _picture(path: Path) -> bytes:
    """Return a picture; nothing where none was drawn, as of a section that is not scored."""
    with reading(path):
        return path.read_bytes() if path.is_file() else b""
