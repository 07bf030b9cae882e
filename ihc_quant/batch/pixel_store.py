"""The few pixels of a slide that results keep: thumbnail, maps of fragments and of quality, crops of example cells.

With them ``rescore`` draws every picture again without the slide, and a run applies regions that were drawn later.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.batch.outputs import final_place, write_whole
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.quality import QualityMap
from ihc_quant.errors import OutputError
from ihc_quant.report.encoding import encode_jpeg, encode_png
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.tile_measures import DensityRaster

PIXELS_FOLDER = "pixels"
"""Folder beside the tables."""
CROPS_PER_ROW = 16
"""Example crops in one row of their sheet."""


def save_thumbnail(folder: Path, overview: NDArray[np.uint8]) -> None:
    """Keep the overview, uint8 (H, W, 3)."""
    write_whole(folder / PIXELS_FOLDER / "thumbnail.jpg", encode_jpeg(overview))


def load_thumbnail(folder: Path) -> NDArray[np.uint8]:
    """Return the overview, uint8 (H, W, 3)."""
    return _rgb(folder / PIXELS_FOLDER / "thumbnail.jpg")


def save_fragments(folder: Path, tissue: TissueMap) -> None:
    """Keep the fragment map as a 16-bit PNG."""
    _, data = cv2.imencode(".png", tissue.fragments.astype(np.uint16))
    write_whole(folder / PIXELS_FOLDER / "fragments.png", data.tobytes())


def load_fragments(folder: Path, grid: Grid) -> TissueMap:
    """Return the fragment map on the overview's grid."""
    path = folder / PIXELS_FOLDER / "fragments.png"
    fragments = _decoded(path, cv2.IMREAD_UNCHANGED)
    if fragments.ndim != 2:
        raise unreadable(path)
    try:
        return TissueMap(fragments.astype(np.int16), grid)
    except ValueError as error:
        raise unreadable(path) from error


def save_quality(folder: Path, quality: QualityMap) -> None:
    """Keep the causes of quality control as an 8-bit PNG."""
    _, data = cv2.imencode(".png", quality.causes)
    write_whole(folder / PIXELS_FOLDER / "quality.png", data.tobytes())


def load_quality(folder: Path, tissue: TissueMap) -> QualityMap:
    """Return the causes of quality control, on the pixels of the fragment map."""
    path = folder / PIXELS_FOLDER / "quality.png"
    causes = _decoded(path, cv2.IMREAD_UNCHANGED)
    if causes.shape != tissue.fragments.shape:
        raise unreadable(path)
    try:
        return QualityMap(causes, tissue.grid)
    except ValueError as error:
        raise unreadable(path) from error


def save_mean_density(folder: Path, density: DensityRaster) -> None:
    """Keep mean densities as an 8-bit PNG."""
    _, data = cv2.imencode(".png", density.values)
    write_whole(folder / PIXELS_FOLDER / "mean_density.png", data.tobytes())


def load_mean_density(folder: Path, step_um: float) -> DensityRaster:
    """Return the mean densities, on squares of ``step_um``."""
    path = folder / PIXELS_FOLDER / "mean_density.png"
    try:
        return DensityRaster(_decoded(path, cv2.IMREAD_UNCHANGED), step_um)
    except ValueError as error:
        raise unreadable(path) from error


def save_crops(folder: Path, crops: NDArray[np.uint8]) -> None:
    """Keep square crops of example cells, uint8 (n, S, S, 3), as one sheet."""
    count, side = len(crops), crops.shape[1]
    rows = max(1, -(-count // CROPS_PER_ROW))
    sheet = np.full((rows * side, CROPS_PER_ROW * side, 3), 255, np.uint8)
    for index, crop in enumerate(crops):
        y, x = side * (index // CROPS_PER_ROW), side * (index % CROPS_PER_ROW)
        sheet[y : y + side, x : x + side] = crop
    write_whole(folder / PIXELS_FOLDER / "examples.png", encode_png(sheet))


def load_crops(folder: Path, count: int, side: int) -> NDArray[np.uint8]:
    """Return ``count`` crops of example cells, uint8 (n, side, side, 3)."""
    path = folder / PIXELS_FOLDER / "examples.png"
    sheet = _rgb(path)
    if sheet.shape[:2] != (side * max(1, -(-count // CROPS_PER_ROW)), side * CROPS_PER_ROW):
        raise unreadable(path)
    places = [(side * (index // CROPS_PER_ROW), side * (index % CROPS_PER_ROW)) for index in range(count)]
    crops = [sheet[y : y + side, x : x + side] for y, x in places]
    return np.stack(crops) if crops else np.empty((0, side, side, 3), np.uint8)


def unreadable(path: Path) -> OutputError:
    """Return the error of a result that cannot be read back."""
    return OutputError(f"{final_place(path)}: this part of the results cannot be read back; score the slide again.")


def _decoded(path: Path, mode: int) -> NDArray[np.uint8]:
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), mode)
    except (OSError, cv2.error) as error:
        raise unreadable(path) from error
    if image is None:
        raise unreadable(path)
    return image  # type: ignore[return-value]


def _rgb(path: Path) -> NDArray[np.uint8]:
    return np.ascontiguousarray(_decoded(path, cv2.IMREAD_COLOR)[:, :, ::-1])
