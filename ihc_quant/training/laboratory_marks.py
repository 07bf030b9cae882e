"""What a laboratory drew on one image, sorted into cells and areas on the network's grid."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.geometry import Polygon, box

from ihc_quant.annotation.class_map import CELLS, ClassMap, Meaning
from ihc_quant.annotation.geojson import Drawing, DrawnObject, read_geojson
from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.points_csv import read_points_csv
from ihc_quant.domain.geometry import Grid, Point, Size
from ihc_quant.errors import SettingsError
from ihc_quant.training.field import UNKNOWN

CALLS = {Meaning.POSITIVE: 1, Meaning.NEGATIVE: 0, Meaning.UNKNOWN: UNKNOWN}

LARGEST_CELL_UM2 = 10_000.0
"""A megakaryocyte of 100 µm covers 7,900 µm²; what is larger is a region whose class was mapped to a call."""

TWICE_UM = 1.0
"""Two marks nearer than this are one cell marked twice: the centres of touching nuclei are 5 µm apart."""

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class MarkedCell:
    """One cell that a person marked.

    Attributes
    ----------
    x_px, y_px : float
        Its centre on the network's grid.
    call : int
        1 positive, 0 negative, ``UNKNOWN``.
    outline : Polygon or MultiPolygon or None
        Of its nucleus, on the network's grid; None where only its place is known.
    """

    x_px: float
    y_px: float
    call: int
    outline: Area | None


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """All that was drawn on one image, in pixels of the network's grid.

    Attributes
    ----------
    centres_px : ndarray, shape (n, 2), float64
    calls : ndarray, shape (n,), int8
    outlines : tuple of Polygon or MultiPolygon or None, length n
    valid : tuple of Polygon or MultiPolygon
        Areas in which every cell was marked.
    ignored : tuple of Polygon or MultiPolygon
        Areas from which nothing is to be learned.
    """

    centres_px: NDArray[np.float64]
    calls: NDArray[np.int8]
    outlines: tuple[Area | None, ...]
    valid: tuple[Area, ...]
    ignored: tuple[Area, ...]

    def learnable(self, extent_px: tuple[float, float], *, whole: bool) -> list[Polygon]:
        """Return the connected areas to learn from, from top to bottom.

        Parameters
        ----------
        extent_px : tuple of float
            Width and height of the image.
        whole : bool
            Whether the whole image is valid where no valid area was drawn.
        """
        image = box(0, 0, *extent_px)
        valid = [image] if whole and not self.valid else list(self.valid)
        area = shapely.union_all([image.intersection(one) for one in valid])
        area = shapely.difference(area, shapely.union_all(list(self.ignored)))
        parts = [part for part in shapely.get_parts(area) if isinstance(part, Polygon) and part.area > 0]
        return sorted(parts, key=lambda part: (part.bounds[1], part.bounds[0]))


def read_marks(
    paths: list[Path], class_map: ClassMap | None, image: Path, grid: Grid, size_l0: Size, offset: Point
) -> Marks:
    """Read every annotation of one image.

    Parameters
    ----------
    paths : list of Path
        GeoJSON files, and points tables (``.csv``), whose rows belong to an image by its file name.
    class_map : ClassMap or None
        Needed with GeoJSON.
    image : Path
        The slide or picture.
    grid : Grid
        The network's, over the image.
    size_l0 : Size
        Of the image; what is marked beyond it belongs to another.
    offset : Point
        Corner of the slide's bounds, from which QuPath counts. Points tables count from level-0 pixel (0, 0).

    Raises
    ------
    SettingsError
        Where a file cannot be used, a class has no meaning, or a mark lies outside the image.
    """
    cells: list[MarkedCell] = []
    areas: dict[Meaning, list[Area]] = {Meaning.VALID: [], Meaning.IGNORE: []}
    for path in paths:
        if path.suffix.lower() == ".csv":
            found = _table_cells(path, image.name, grid)
        else:
            assert class_map is not None
            drawing = read_geojson(path, offset)
            for sentence in drawing.repairs():
                LOG.warning("%s", sentence)
            class_map.require((drawn.class_name for drawn in drawing.objects), path)
            found = []
            for drawn in drawing.objects:
                meaning = class_map.meanings[drawn.class_name]
                if meaning in CELLS:
                    found += _cells(drawing, drawn, CALLS[meaning], grid)
                else:
                    areas[meaning].append(_on_grid(drawing.area_of(drawn), grid))
        _require_inside(path, found, grid, size_l0)
        cells += found
    centres_px = np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)
    _tell_twice(paths, centres_px * grid.pixel_um)
    return Marks(
        centres_px,
        np.array([cell.call for cell in cells], np.int8),
        tuple(cell.outline for cell in cells),
        tuple(areas[Meaning.VALID]),
        tuple(areas[Meaning.IGNORE]),
    )


def _table_cells(path: Path, name: str, grid: Grid) -> list[MarkedCell]:
    table = read_points_csv(path)
    if name not in table:
        named = ", ".join(sorted(table)[:3]) or "none"
        raise SettingsError(f"{path}: no row belongs to the image {name!r}; its column image names {named}.")
    points = table[name]
    x_px, y_px = points.xy_px[:, 0] / grid.scale_x, points.xy_px[:, 1] / grid.scale_y
    return [MarkedCell(*cell, None) for cell in zip(x_px, y_px, points.positive.astype(int), strict=True)]


def _cells(drawing: Drawing, drawn: DrawnObject, call: int, grid: Grid) -> list[MarkedCell]:
    """Return the cells of one object: several of a set of points, one of an outline."""
    if len(drawn.points_l0):
        return [MarkedCell(x / grid.scale_x, y / grid.scale_y, call, None) for x, y in drawn.points_l0.tolist()]
    area = _on_grid(drawn.nucleus_l0 or drawing.area_of(drawn), grid)
    area_um2 = area.area * grid.pixel_um**2
    if area_um2 > LARGEST_CELL_UM2:
        raise SettingsError(
            f"{drawing.named(drawn)} covers {area_um2:,.0f} µm², too much for one cell; "
            "map its class to valid or ignore, or correct mpp."
        )
    # The outline of a whole cell says nothing of its nucleus but where it lies.
    whole_cell = drawn.object_type == "cell" and drawn.nucleus_l0 is None
    centre = area.centroid
    return [MarkedCell(centre.x, centre.y, call, None if whole_cell else area)]


def _on_grid(area_l0: Area, grid: Grid) -> Area:
    scaled: Area = shapely.transform(area_l0, lambda xy: xy / (grid.scale_x, grid.scale_y))
    return scaled


def _require_inside(path: Path, cells: list[MarkedCell], grid: Grid, size_l0: Size) -> None:
    width, height = size_l0.width / grid.scale_x, size_l0.height / grid.scale_y
    outside = sum(not (0 <= cell.x_px <= width and 0 <= cell.y_px <= height) for cell in cells)
    if outside:
        raise SettingsError(
            f"{path}: {outside} of {len(cells)} cells lie outside the image; "
            "check that the annotations belong to it and are in its pixels, not in µm."
        )


def _tell_twice(paths: list[Path], centres_um: NDArray[np.float64]) -> None:
    """Tell of cells that were marked twice: they count as two, and may have been called both ways."""
    if not len(centres_um):
        return
    pairs = cKDTree(centres_um).query_pairs(TWICE_UM, output_type="ndarray")
    if len(pairs):
        named = ", ".join(map(str, paths))
        x_um, y_um = centres_um[pairs[0, 0]]
        LOG.warning(
            "%s: %d cells are marked twice, less than %g µm apart, the first at %.0f, %.0f µm; mark each cell once.",
            named, len(pairs), TWICE_UM, x_um, y_um,
        )  # fmt: skip
