"""A laboratory's own annotations as fields to learn from.

A source supervises only what it knows. Points give centres and calls; outlines of nuclei give extents too, where every
cell of a connected area has one. Where not every cell was marked nothing is supervised: only areas drawn as ``valid``
are, less those drawn as ``ignore``; a picture (PNG, JPEG) on which no valid area was drawn counts as marked throughout.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from ihc_quant.annotation.class_map import read_class_map
from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.domain.geometry import Grid, GridBox, Mpp, Point
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import SettingsError
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_grid
from ihc_quant.training.field import TrainingField
from ihc_quant.training.laboratory_file import Laboratory, LaboratoryItem, read_laboratory_file
from ihc_quant.training.laboratory_marks import LOG, Marks, read_marks

SOURCE = "laboratory"
"""Name of this source in logs and cards."""

PIECE_PX = 1024
"""Largest side of a piece, its margin included, in pixels of the network."""
MARGIN_PX = 32
"""Pixels around a piece that are seen and not supervised, so that cells on its border are seen whole."""
NEAR_PX = 16.0
"""Marks this near to a supervised area are kept, because their peaks and outlines may reach into it."""
COARSEST = 1.1
"""An image may be this much coarser than the network's grid, as in scoring (0.55 on 0.5 µm per pixel)."""


def read_laboratory(path: Path, pixel_um: float) -> list[TrainingField]:
    """Read the items that a laboratory's YAML lists, in pieces at the network's pixel size.

    Parameters
    ----------
    path : Path
        See ``docs/retraining.md``.
    pixel_um : float
        µm per pixel of the network.

    Returns
    -------
    list of TrainingField
        ``group`` is the patient. Names carry the item's number and the piece's place, never a file's name.

    Raises
    ------
    SettingsError
        Where the list, an annotation or what they say together cannot be used.
    SlideError
        Where an image cannot be read.
    """
    laboratory = read_laboratory_file(path)
    fields = []
    for number, item in enumerate(laboratory.items, start=1):
        fields += _item_fields(laboratory, number, item, pixel_um)
    return fields


def _item_fields(laboratory: Laboratory, number: int, item: LaboratoryItem, pixel_um: float) -> list[TrainingField]:
    image, named = laboratory.located(item.image), f"{laboratory.path}: item {number}"
    with open_slide(image, mpp=Mpp.square(item.mpp) if item.mpp else None, series=item.series) as reader:
        grid = Grid(pixel_um, _calibration(reader.info, named, pixel_um))
        size, bounds = reader.info.size, reader.info.bounds_l0
        marks = read_marks(
            [laboratory.located(name) for name in item.annotation],
            read_class_map(laboratory.located(item.classes)) if item.classes else None,
            image,
            grid,
            size,
            Point(bounds.x0, bounds.y0),
        )
        picture = reader.info.reader == "picture"
        if not (picture or marks.valid):
            raise SettingsError(
                f"{named}: nothing tells where on the slide every cell was marked; draw the areas in which it was, "
                "and map their class to valid."
            )
        areas = marks.learnable((size.width / grid.scale_x, size.height / grid.scale_y), whole=picture)
        _require_use(areas, marks, named)
        return [field for area in areas for field in _area_fields(reader, grid, area, marks, number, item.patient)]


def _calibration(info: SlideInfo, named: str, pixel_um: float) -> Mpp:
    """Return µm per pixel; ``SettingsError`` where they are unknown or too coarse."""
    if info.mpp is None:
        raise SettingsError(f"{named}: {info.mpp_problem}; add mpp to the item, for example mpp: 0.25.")
    if info.mpp.coarser > COARSEST * pixel_um:
        raise SettingsError(
            f"{named}: {info.mpp.coarser:.3g} µm per pixel are too coarse for the network's {pixel_um:g}; "
            "scan or export it finer, or correct mpp."
        )
    return info.mpp


def _require_use(areas: list[Polygon], marks: Marks, named: str) -> None:
    """Refuse marks of which nothing would be learned; tell which are not used."""
    if not areas:
        raise SettingsError(
            f"{named}: nothing is left of the areas drawn as valid; they lie outside the image or are ignored."
        )
    inside = np.zeros(len(marks.centres_px), np.bool_)
    for area in areas:
        shapely.prepare(area)
        inside |= shapely.contains_xy(area, marks.centres_px)
    if len(inside) and not inside.any():
        raise SettingsError(f"{named}: none of its {len(inside)} cells lies in an area drawn as valid; draw it anew.")
    if not inside.all():
        LOG.warning("%s: %d of %d cells lie outside the valid areas.", named, np.sum(~inside), len(inside))


def _area_fields(
    reader: SlideReader, grid: Grid, area: Polygon, marks: Marks, number: int, patient: str
) -> Iterator[TrainingField]:
    """Yield the pieces of one connected area of an item; only their pixels are read."""
    shapely.prepare(area)
    inside = np.flatnonzero(shapely.contains_xy(area, marks.centres_px))
    outlined = len(inside) > 0 and all(marks.outlines[index] is not None for index in inside)
    near = shapely.dwithin(area, shapely.points(marks.centres_px), NEAR_PX)
    extent = grid.extent(reader.info.size)
    image = GridBox(0, 0, extent.width, extent.height)
    for core in cores_of(area, image):
        box = common(core.grown(MARGIN_PX), image)
        valid = np.zeros((box.height, box.width), np.bool_)
        rows, columns = slice(core.y0 - box.y0, core.y1 - box.y0), slice(core.x0 - box.x0, core.x1 - box.x0)
        valid[rows, columns] = covered(area, core)
        if not valid.any():
            continue
        points = marks.centres_px - (box.x0, box.y0)
        seen = np.flatnonzero(near & ((points >= 0) & (points < (box.width, box.height))).all(axis=1))
        labels = numbered([marks.outlines[index] for index in seen], box) if outlined else None
        name, rgb = f"item {number:03d} at {box.x0} {box.y0}", read_grid(reader, grid, box)
        yield TrainingField(SOURCE, name, patient, rgb, points[seen], marks.calls[seen], labels, valid)


def cores_of(area: Polygon, image: GridBox) -> list[GridBox]:
    """Return boxes that partition an area's bounding box in the image, each with its margins no larger than a piece."""
    x0, y0 = np.floor(area.bounds[:2]).astype(int).tolist()
    x1, y1 = np.ceil(area.bounds[2:]).astype(int).tolist()
    columns, rows = _cuts(x0, min(x1, image.x1)), _cuts(y0, min(y1, image.y1))
    return [GridBox(left, top, right, bottom) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]


def _cuts(begin: int, end: int) -> list[int]:
    """Return begin, end and what is between them in even steps of at most a piece without its margins."""
    parts = max(1, -(-(end - begin) // (PIECE_PX - 2 * MARGIN_PX)))
    return [begin + (end - begin) * part // parts for part in range(parts + 1)]


def common(one: GridBox, other: GridBox) -> GridBox:
    """Return the part that two overlapping boxes share."""
    return GridBox(max(one.x0, other.x0), max(one.y0, other.y0), min(one.x1, other.x1), min(one.y1, other.y1))


def covered(area: Area, box: GridBox) -> NDArray[np.bool_]:
    """Return which pixels of a box have their centre in an area, shape (H, W)."""
    x, y = np.meshgrid(np.arange(box.x0, box.x1) + 0.5, np.arange(box.y0, box.y1) + 0.5)
    shapely.prepare(area)
    return np.asarray(shapely.contains_xy(area, x, y), np.bool_)


def numbered(outlines: Sequence[Area | None], box: GridBox) -> NDArray[np.int32]:
    """Return instance numbers of shape (H, W): 1 for the first outline; of overlapping ones the later stays."""
    labels = np.zeros((box.height, box.width), np.int32)
    for number, outline in enumerate(outlines, start=1):
        if outline is None:
            continue
        x0, y0, x1, y1 = outline.bounds
        around = GridBox(int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1)))
        part = common(around, box)
        window = labels[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0]
        window[covered(outline, part)] = number
    return labels
