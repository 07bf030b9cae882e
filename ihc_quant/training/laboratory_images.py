"""The images that a laboratory lists, each with its marks, checked before their pixels are read."""

import filecmp
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from ihc_quant.annotation.class_map import read_class_map
from ihc_quant.annotation.faults import Faults, first_of
from ihc_quant.annotation.points_csv import LabelledPoints, read_points_csv
from ihc_quant.domain.geometry import Grid, Mpp, Point
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import SettingsError
from ihc_quant.slide.opening import open_slide
from ihc_quant.training.laboratory_file import Laboratory, LaboratoryItem
from ihc_quant.training.laboratory_marks import LEAST_VALID_UM2, Marks, Sheet, Tables, read_marks

COARSEST = 1.1
"""An image may be this much coarser than the network's grid, as in scoring (0.55 on 0.5 µm per pixel)."""
MPP_TOLERANCE = 0.05
"""An item's µm per pixel may differ by this share from the file's: calibrations differ by less, objectives by more."""
NUCLEUS_UM = (3.0, 4.0, 15.0, 20.0)
"""Median diameter of outlined nuclei: refused below the first and above the last, told beyond the inner two.

Lymphocytes measure 5 to 8 µm on sections, nuclei of carcinomas 8 to 14; half or double µm per pixel leave these limits
or come near."""
LEAST_OUTLINES = 5
"""Outlines from which on their median says something of the µm per pixel."""
CHANCE = 0.01
"""How often cells that lie anywhere may look as if their places were in µm before that is told."""
LEAST_SHARED_UM2 = 1.0
"""Areas drawn side by side share less, by rounding."""
MOST_FAULTS = 20
"""Faults of a list that are told."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class MarkedImage:
    """One item of the list, ready to be cut into pieces.

    Attributes
    ----------
    number : int
        Its place in the list, from 1.
    item : LaboratoryItem
    path : Path
    info : SlideInfo
    grid : Grid
        The network's, over the image.
    marks : Marks
    areas : list of Polygon
        Connected areas to learn from, on the grid.
    """

    number: int
    item: LaboratoryItem
    path: Path
    info: SlideInfo
    grid: Grid
    marks: Marks
    areas: list[Polygon]

    @property
    def area_l0(self) -> shapely.Geometry:
        """All areas in level-0 pixels."""
        scale = (self.grid.scale_x, self.grid.scale_y)
        area: shapely.Geometry = shapely.transform(shapely.union_all(self.areas), lambda xy: xy * scale)
        return area

    def outlined(self, inside: NDArray[np.intp]) -> bool:
        """Whether every one of these cells has an outline, and there is one."""
        return len(inside) > 0 and all(self.marks.outlines[index] is not None for index in inside)


def read_images(laboratory: Laboratory, pixel_um: float) -> list[MarkedImage]:
    """Read the marks of every item of a list.

    Raises
    ------
    SettingsError or SlideError
        Faults of all items together, up to ``MOST_FAULTS``.
    """
    tables: dict[Path, Mapping[str, LabelledPoints]] = {}
    faults, images = Faults(), list[MarkedImage]()
    for path in laboratory.tables:
        with faults.collected():
            tables[path] = read_points_csv(path)
    unread = set(laboratory.tables) - set(tables)
    for number, item in enumerate(laboratory.items, start=1):
        # What stands in a table that cannot be read is not known to be missing.
        if unread.isdisjoint(map(laboratory.located, item.annotation)):
            with faults.collected():
                images.append(_read_image(laboratory, number, item, tables, pixel_um))
    for one, other in combinations(images, 2):
        with faults.collected():
            _require_apart(laboratory, one, other)
    faults.tell(laboratory.path, MOST_FAULTS)
    _tell_unlisted(laboratory, tables)
    return images


def _read_image(
    laboratory: Laboratory, number: int, item: LaboratoryItem, tables: Tables, pixel_um: float
) -> MarkedImage:
    path, named = laboratory.located(item.image), f"{laboratory.path}: item {number}"
    with open_slide(path, series=item.series) as reader:
        info = reader.info
    grid = Grid(pixel_um, _calibration(info, laboratory, item, named, pixel_um))
    sheet = Sheet(path, grid, info.size, Point(info.bounds_l0.x0, info.bounds_l0.y0), item.no_cells)
    class_map = read_class_map(laboratory.located(item.classes)) if item.classes else None
    marks = read_marks([laboratory.located(name) for name in item.annotation], tables, class_map, sheet)
    picture = info.reader == "picture"
    if not (picture or marks.valid):
        raise SettingsError(
            f"{named}: nothing tells where on the slide every cell was marked; draw the areas in which it was, "
            "and map their class to valid."
        )
    areas = marks.learnable(sheet.extent_px, whole=picture)
    image = MarkedImage(number, item, path, info, grid, marks, areas)
    _tell_micrometres(image, laboratory, tables)
    _require_use(image, named)
    _require_nuclei(image, named)
    return image


def _calibration(info: SlideInfo, laboratory: Laboratory, item: LaboratoryItem, named: str, pixel_um: float) -> Mpp:
    """Return µm per pixel; ``SettingsError`` where they are unknown, contradict each other or are too coarse."""
    mpp = info.mpp or (Mpp.square(laboratory.mpp) if laboratory.mpp else None)
    if (stated := item.mpp or laboratory.mpp) and info.mpp:
        off = max(abs(stated / info.mpp.x - 1), abs(stated / info.mpp.y - 1)) > MPP_TOLERANCE
        both = f"mpp is {stated:g}, but its file states {info.mpp.x:.4g} µm per pixel"
        if off and item.mpp and not item.mpp_of_file_is_wrong:
            raise SettingsError(
                f"{named}: {both}; leave mpp out, or add mpp_of_file_is_wrong: true where you know that the file is "
                "wrong."
            )
        if off and not item.mpp:
            LOG.warning("%s: at the top %s, which is taken; where the file is wrong, add mpp to the item.", named, both)
    if item.mpp:
        mpp = Mpp.square(item.mpp)
    if mpp is None:
        raise SettingsError(f"{named}: {info.mpp_problem}; add mpp to the item, for example mpp: 0.25.")
    if mpp.coarser > COARSEST * pixel_um:
        raise SettingsError(
            f"{named}: {mpp.coarser:.3g} µm per pixel are too coarse for the network's {pixel_um:g}; "
            "scan or export it finer, or correct mpp."
        )
    return mpp


def _require_use(image: MarkedImage, named: str) -> None:
    """Refuse marks of which nothing or wrong would be learned."""
    marks, none_known = image.marks, image.item.no_cells
    if not image.areas:
        raise SettingsError(
            f"{named}: nothing is left of the areas drawn as valid; they lie outside the image or are ignored."
        )
    if none_known and len(marks.calls):
        raise SettingsError(f"{named}: no_cells is true, but {len(marks.calls)} cells are marked; remove no_cells.")
    if not (none_known or len(marks.calls)):
        raise SettingsError(
            f"{named}: no cell is marked, which would teach that there is none; export all objects again, or add "
            "no_cells: true where there is no cell."
        )
    inside = [cells_in(area, marks) for area in image.areas]
    within = sum(map(len, inside))
    if len(marks.calls) and not within:
        raise SettingsError(
            f"{named}: none of its {len(marks.calls)} cells lies in an area drawn as valid; draw it anew."
        )
    if not none_known:
        _tell_unused(image, inside, named)


def _tell_unused(image: MarkedImage, inside: Sequence[NDArray[np.intp]], named: str) -> None:
    """Tell of areas without cells, of cells without area, and of outlines that a point makes useless."""
    marks, within = image.marks, sum(map(len, inside))
    least_px = LEAST_VALID_UM2 / image.grid.pixel_um**2
    bare = sum(not len(cells) and area.area >= least_px for area, cells in zip(image.areas, inside, strict=True))
    if bare:
        LOG.warning(
            "%s: %d of %d valid areas hold no marked cell, which teaches that there is none.",
            named, bare, len(image.areas),
        )  # fmt: skip
    if within < len(marks.calls):
        LOG.warning(
            "%s: %d of %d cells lie outside the valid areas.", named, len(marks.calls) - within, len(marks.calls)
        )
    lost = [cells for cells in inside if not image.outlined(cells)]
    unused = sum(marks.outlines[index] is not None for cells in lost for index in cells)
    if unused:
        points = sum(marks.outlines[index] is None for cells in lost for index in cells)
        LOG.warning(
            "%s: %d outlines are not used, as %d cells in their areas are known by a point alone; outline those too, "
            "or give them an area of their own.",
            named, unused, points,
        )  # fmt: skip


def cells_in(area: Polygon, marks: Marks) -> NDArray[np.intp]:
    """Return the indices of the cells whose centre lies in an area."""
    shapely.prepare(area)
    return np.flatnonzero(shapely.contains_xy(area, marks.centres_px))


def _require_nuclei(image: MarkedImage, named: str) -> None:
    """Refuse outlines of a size that no nuclei have, and tell of a doubtful one: their µm per pixel are wrong."""
    areas_px = [outline.area for outline in image.marks.outlines if outline is not None]
    if len(areas_px) < LEAST_OUTLINES:
        return
    diameter_um = float(np.median(2 * np.sqrt(np.array(areas_px) / np.pi))) * image.grid.pixel_um
    least, small, large, most = NUCLEUS_UM
    sentence = (
        f"{named}: at {image.grid.mpp.x:.4g} µm per pixel its {len(areas_px)} outlines have a median diameter of "
        f"{diameter_um:.1f} µm, where nuclei have {small:g} to {large:g}; check mpp, and that nuclei were outlined."
    )
    if not least <= diameter_um <= most:
        raise SettingsError(sentence)
    if not small <= diameter_um <= large:
        LOG.warning("%s", sentence)


def _tell_micrometres(image: MarkedImage, laboratory: Laboratory, tables: Tables) -> None:
    """Tell where the places of a points table look like µm: as such they would lie where cells were marked."""
    mpp, size = image.grid.mpp, image.info.size
    for path in map(laboratory.located, image.item.annotation):
        points = tables.get(path, {}).get(image.path.name)
        if points is None:
            continue
        as_stated = points.xy_px / (image.grid.scale_x, image.grid.scale_y)
        if image.marks.valid:
            valid = shapely.union_all(list(image.marks.valid))
            in_px, in_um = (shapely.contains_xy(valid, xy).sum() for xy in (as_stated, as_stated / (mpp.x, mpp.y)))
            suspect = in_um > in_px
        else:
            corner = (points.xy_px <= (size.width * mpp.x, size.height * mpp.y)).all()
            suspect = corner and (mpp.x * mpp.y) ** len(points.xy_px) < CHANCE
        if suspect:
            LOG.warning(
                "%s: the places of cells on %s look like µm; if they are, divide x_px and y_px by %.4g.",
                path, image.path.name, mpp.x,
            )  # fmt: skip


def _require_apart(laboratory: Laboratory, one: MarkedImage, other: MarkedImage) -> None:
    """Refuse one place of an image under two patients, and tell of one that counts twice."""
    if (one.info.quick_hash, one.info.series) != (other.info.quick_hash, other.info.series):
        return
    # The quick hash knows head and tail of some files alone.
    if not (one.path.samefile(other.path) or filecmp.cmp(one.path, other.path, shallow=False)):
        return
    shared_um2 = shapely.intersection(one.area_l0, other.area_l0).area * one.grid.mpp.x * one.grid.mpp.y
    if shared_um2 < LEAST_SHARED_UM2:
        return
    items = f"items {one.number} and {other.number}"
    both = f"{laboratory.path}: {items} show the same {shared_um2 / 1e6:.3g} mm² of one image"
    if one.item.patient != other.item.patient:
        raise SettingsError(
            f"{both} as of patients {one.item.patient} and {other.item.patient}; correct one patient, or draw the "
            "valid areas apart."
        )
    LOG.warning("%s; its cells count twice, so remove one.", both)


def _tell_unlisted(laboratory: Laboratory, tables: Tables) -> None:
    """Tell which rows of the tables belong to no image of the list."""
    listed: dict[Path, set[str]] = {path: set() for path in tables}
    for item in laboratory.items:
        for path in listed.keys() & set(map(laboratory.located, item.annotation)):
            listed[path].add(laboratory.located(item.image).name)
    for path, table in tables.items():
        if unlisted := sorted(set(table) - listed[path]):
            LOG.warning(
                "%s: %d rows are not used, as no item lists their %d images with this table: %s; where one is meant, "
                "write the bare file name of the item's image.",
                path, sum(len(table[name].xy_px) for name in unlisted), len(unlisted), ", ".join(first_of(unlisted, 5)),
            )  # fmt: skip
