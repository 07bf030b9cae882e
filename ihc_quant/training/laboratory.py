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

from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.domain.geometry import GridBox
from ihc_quant.errors import SettingsError
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_grid
from ihc_quant.training.field import UNKNOWN, TrainingField
from ihc_quant.training.laboratory_file import read_laboratory_file
from ihc_quant.training.laboratory_images import MarkedImage, cells_in, read_images

SOURCE = "laboratory"
"""Name of this source in logs and cards."""

PIECE_PX = 1024
"""Largest side of a piece, its margin included, in pixels of the network."""
MARGIN_PX = 32
"""Pixels around a piece that are seen and not supervised, so that cells on its border are seen whole."""
NEAR_PX = 16.0
"""Marks this near to a supervised area are kept, because their peaks and outlines may reach into it."""


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
        Where the list, annotations or what they say together cannot be used; faults of all items are told at once.
    SlideError
        Where an image cannot be read.
    """
    laboratory = read_laboratory_file(path)
    fields: list[TrainingField] = []
    for image in read_images(laboratory, pixel_um):
        with open_slide(image.path, series=image.item.series) as reader:
            found = [field for area in image.areas for field in _area_fields(reader, image, area, laboratory.licence)]
        if not found:
            raise SettingsError(
                f"{path}: item {image.number}: its valid areas cover no pixel of {pixel_um:g} µm; draw them anew."
            )
        fields += found
    return fields


def laboratory_summary(fields: Sequence[TrainingField], pixel_um: float) -> list[str]:
    """Return a line for each item: how many cells were read, how they are called, and in what area.

    Parameters
    ----------
    fields : sequence of TrainingField
        From ``read_laboratory``.
    pixel_um : float
        As there.
    """
    items: dict[str, list[TrainingField]] = {}
    for field in fields:
        items.setdefault(field.name.split(" at ")[0], []).append(field)
    lines = []
    for name, pieces in items.items():
        calls = np.concatenate([_own_calls(piece) for piece in pieces])
        positive, negative, unknown = (int((calls == call).sum()) for call in (1, 0, UNKNOWN))
        area_mm2 = sum(int(piece.valid.sum()) for piece in pieces) * pixel_um**2 / 1e6
        kinds = {"points" if piece.labels is None else "outlines" for piece in pieces if len(_own_calls(piece))}
        marks = f", as {' and '.join(sorted(kinds))}" if kinds else ""
        first = pieces[0]
        lines.append(
            f"{name} ({first.group}; {first.marker}, {first.tissue}): {len(calls)} cells, {positive} positive, "
            f"{negative} negative, {unknown} unknown{marks}, in {area_mm2:.3g} mm²"
        )
    return lines


def _own_calls(piece: TrainingField) -> NDArray[np.int8]:
    """Return the calls of the cells in the valid part of a piece; each cell of an item is in that of one alone."""
    assert piece.points_px is not None
    height, width = piece.valid.shape
    x, y = np.floor(piece.points_px).astype(np.intp).T
    return np.asarray(piece.calls[piece.valid[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]], np.int8)


def _area_fields(reader: SlideReader, image: MarkedImage, area: Polygon, licence: str) -> Iterator[TrainingField]:
    """Yield the pieces of one connected area of an image; only their pixels are read."""
    marks, grid = image.marks, image.grid
    outlined = image.outlined(cells_in(area, marks))
    near = shapely.dwithin(area, shapely.points(marks.centres_px), NEAR_PX)
    extent = grid.extent(reader.info.size)
    whole = GridBox(0, 0, extent.width, extent.height)
    for core in cores_of(area, whole):
        box = common(core.grown(MARGIN_PX), whole)
        valid = np.zeros((box.height, box.width), np.bool_)
        rows, columns = slice(core.y0 - box.y0, core.y1 - box.y0), slice(core.x0 - box.x0, core.x1 - box.x0)
        valid[rows, columns] = covered(area, core)
        if not valid.any():
            continue
        points = marks.centres_px - (box.x0, box.y0)
        seen = np.flatnonzero(near & ((points >= 0) & (points < (box.width, box.height))).all(axis=1))
        yield TrainingField(
            source=SOURCE,
            name=f"item {image.number:03d} at {box.x0} {box.y0}",
            group=image.item.patient,
            rgb=read_grid(reader, grid, box),
            points_px=points[seen],
            calls=marks.calls[seen],
            labels=numbered([marks.outlines[index] for index in seen], box) if outlined else None,
            valid=valid,
            marker=image.item.marker,
            tissue=image.item.tissue,
            licence=licence,
        )


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
