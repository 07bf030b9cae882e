"""What a laboratory drew on one image, sorted into cells and areas on the network's grid."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.geometry import Polygon, box

from ihc_quant.annotation.class_map import CELLS, ClassMap, Meaning
from ihc_quant.annotation.faults import Faults
from ihc_quant.annotation.geojson import LAID_OUT, Drawing, DrawnObject, read_geojson
from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.points_csv import LabelledPoints
from ihc_quant.domain.geometry import Grid, Point, Size
from ihc_quant.errors import SettingsError
from ihc_quant.training.field import UNKNOWN, calls_of

CALLS = {Meaning.POSITIVE: 1, Meaning.NEGATIVE: 0, Meaning.UNKNOWN: UNKNOWN}

LARGEST_CELL_UM2 = 10_000.0
"""A megakaryocyte of 100 µm covers 7,900 µm²; what is larger is a region whose class was mapped to a call."""

TWICE_UM = 1.0
"""Two marks nearer than this are one cell marked twice: the centres of touching nuclei are 5 µm apart."""

SPECK_UM2 = 5.0
"""What is smaller is a slip of the brush: a nucleus 4 µm across covers 12.6 µm²."""

LEAST_VALID_UM2 = 25.0
"""A valid area that is smaller holds no nucleus; a click with a drawing tool leaves such ones."""

FOUND: frozenset[str] = frozenset({"cell", "detection"})
"""QuPath's types of objects that are cells."""

MOST_FAULTS = 5
"""Faults of one image that are told."""

Tables: TypeAlias = Mapping[Path, Mapping[str, LabelledPoints]]
"""Points by table and image name."""

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


@dataclass(frozen=True, slots=True)
class Sheet:
    """The image that was drawn on, as far as marks need to know it.

    Attributes
    ----------
    path : Path
    grid : Grid
        The network's, over the image.
    size_l0 : Size
        What is marked beyond it belongs to another image.
    offset_l0 : Point
        Corner of the slide's bounds, from which QuPath counts. Points tables count from level-0 pixel (0, 0).
    no_cells : bool
        Whether it is known that there is no cell to mark.
    """

    path: Path
    grid: Grid
    size_l0: Size
    offset_l0: Point
    no_cells: bool = False

    @property
    def extent_px(self) -> tuple[float, float]:
        """Width and height in pixels of the network's grid."""
        return self.size_l0.width / self.grid.scale_x, self.size_l0.height / self.grid.scale_y


def read_marks(paths: Sequence[Path], tables: Tables, class_map: ClassMap | None, sheet: Sheet) -> Marks:
    """Read every annotation of one image.

    Parameters
    ----------
    paths : sequence of Path
        GeoJSON files and points tables, whose rows belong to an image by its file name.
    tables : mapping of Path to points by image name
        The points tables, read; a path that is not among them is GeoJSON.
    class_map : ClassMap or None
        Needed with GeoJSON.
    sheet : Sheet
        What was drawn on.

    Raises
    ------
    SettingsError
        Where a file cannot be used, a class has no meaning, or a mark lies outside the image.
    """
    cells: list[MarkedCell] = []
    areas: dict[Meaning, list[Area]] = {Meaning.VALID: [], Meaning.IGNORE: []}
    faults = Faults()
    for path in paths:
        with faults.collected():
            if path in tables:
                found = _table_cells(path, tables[path], sheet)
            else:
                assert class_map is not None
                found = _drawn_marks(read_geojson(path, sheet.offset_l0), class_map, sheet.grid, areas)
            _require_inside(path, found, sheet)
            cells += found
    faults.tell(sheet.path, MOST_FAULTS)
    centres_px = np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)
    _tell_twice(paths, centres_px * sheet.grid.pixel_um)
    return Marks(
        centres_px,
        np.array([cell.call for cell in cells], np.int8),
        tuple(cell.outline for cell in cells),
        tuple(areas[Meaning.VALID]),
        tuple(areas[Meaning.IGNORE]),
    )


def _table_cells(path: Path, table: Mapping[str, LabelledPoints], sheet: Sheet) -> list[MarkedCell]:
    name = sheet.path.name
    if name not in table:
        if sheet.no_cells:
            return []
        named = ", ".join(map(repr, sorted(table)[:3])) or "none"
        raise SettingsError(
            f"{path}: no row belongs to the image {name!r}; its column image names {named}, "
            "and must hold the bare file name, without folder."
        )
    points, grid = table[name], sheet.grid
    x_px, y_px = points.xy_px[:, 0] / grid.scale_x, points.xy_px[:, 1] / grid.scale_y
    return [MarkedCell(*cell, None) for cell in zip(x_px, y_px, calls_of(points).tolist(), strict=True)]


def _drawn_marks(
    drawing: Drawing, class_map: ClassMap, grid: Grid, areas: dict[Meaning, list[Area]]
) -> list[MarkedCell]:
    """Return the cells of a drawing, and add its areas to those that are known."""
    for sentence in drawing.repairs():
        LOG.warning("%s", sentence)
    objects = [drawn for drawn in drawing.objects if drawn.object_type not in LAID_OUT]
    class_map.require((drawn.class_name for drawn in objects), drawing.path)
    cells: list[MarkedCell] = []
    faults, skipped = Faults(), 0
    for drawn in objects:
        meaning = class_map.meanings[drawn.class_name]
        with faults.collected():
            if meaning in CELLS:
                cells += _cells(drawing, drawn, CALLS[meaning], grid)
            elif meaning in areas:
                areas[meaning].append(_area(drawing, drawn, meaning, grid))
            else:
                skipped += drawn.object_type in FOUND or len(drawn.points_l0) > 0
    faults.tell(drawing.path, MOST_FAULTS)
    if skipped:
        LOG.warning(
            "%s: %d points or detected cells have a class that is skipped; in a valid area they teach that there is no "
            "cell, so map what may be a cell to unknown.",
            drawing.path, skipped,
        )  # fmt: skip
    return cells


def _area(drawing: Drawing, drawn: DrawnObject, meaning: Meaning, grid: Grid) -> Area:
    """Return a valid or ignored area; ``SettingsError`` where a valid one holds no cell."""
    area = _on_grid(drawing.area_of(drawn), grid)
    area_um2 = area.area * grid.pixel_um**2
    if meaning == Meaning.VALID and area_um2 < LEAST_VALID_UM2:
        raise SettingsError(
            f"{drawing.named(drawn)} covers {area_um2:.3g} µm², less than a nucleus; delete it or draw it anew."
        )
    return area


def _cells(drawing: Drawing, drawn: DrawnObject, call: int, grid: Grid) -> list[MarkedCell]:
    """Return the cells of one object: several of a set of points, one of an outline."""
    if len(drawn.points_l0):
        return [MarkedCell(x / grid.scale_x, y / grid.scale_y, call, None) for x, y in drawn.points_l0.tolist()]
    area = _in_one(drawing, drawn, _on_grid(drawn.nucleus_l0 or drawing.area_of(drawn), grid), grid.pixel_um)
    area_um2 = area.area * grid.pixel_um**2
    if area_um2 > LARGEST_CELL_UM2:
        raise SettingsError(
            f"{drawing.named(drawn)} covers {area_um2:,.0f} µm², too much for one cell; "
            "map its class to valid, ignore or skip, or correct mpp."
        )
    # The outline of a whole cell says nothing of its nucleus but where it lies.
    whole_cell = drawn.object_type == "cell" and drawn.nucleus_l0 is None
    centre = area.centroid
    return [MarkedCell(centre.x, centre.y, call, None if whole_cell else area)]


def _in_one(drawing: Drawing, drawn: DrawnObject, area: Area, pixel_um: float) -> Area:
    """Return an outline without the specks that a brush left; ``SettingsError`` where it is of two cells or more."""
    largest, *others = sorted(shapely.get_parts(area), key=lambda part: -part.area)
    # What nearly touches is one nucleus whose outline crossed itself or was cut.
    apart = [part for part in others if part.distance(largest) * pixel_um > TWICE_UM]
    if not apart:
        return area
    if apart[0].area * pixel_um**2 >= SPECK_UM2:
        raise SettingsError(
            f"{drawing.named(drawn)} has {1 + len(apart)} parts that lie apart and would be one cell between them; "
            "split it, so that each nucleus is an object."
        )
    LOG.warning("%s: %d specks beside its outline were left out.", drawing.named(drawn), len(apart))
    kept: Area = shapely.union_all([part for part in (largest, *others) if not any(part is each for each in apart)])
    return kept


def _on_grid(area_l0: Area, grid: Grid) -> Area:
    scaled: Area = shapely.transform(area_l0, lambda xy: xy / (grid.scale_x, grid.scale_y))
    return scaled


def _require_inside(path: Path, cells: list[MarkedCell], sheet: Sheet) -> None:
    width, height = sheet.extent_px
    outside = sum(not (0 <= cell.x_px <= width and 0 <= cell.y_px <= height) for cell in cells)
    if outside:
        raise SettingsError(
            f"{path}: {outside} of {len(cells)} cells lie outside the image; "
            "check that the annotations belong to it and are in its pixels, not in µm."
        )


def _tell_twice(paths: Sequence[Path], centres_um: NDArray[np.float64]) -> None:
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
