"""Regions on a picture: each outlined in the colour of its kind and named, with a key below."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import ImageDraw

from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Grid
from ihc_quant.report.lettering import width, write
from ihc_quant.report.picture_sheet import EDGE_PX, NARROWEST_PX, TEXT_PX, Panel

COLOURS: dict[RegionKind, tuple[int, int, int]] = {
    RegionKind.ANALYSE: (0, 90, 50),
    RegionKind.EXCLUDE: (213, 94, 0),
    RegionKind.CONTROL_TISSUE: (120, 60, 140),
    RegionKind.EPIDERMIS: (230, 159, 0),
    RegionKind.DERMIS: (86, 180, 233),
    RegionKind.INTERFOLLICULAR: (240, 228, 66),
    RegionKind.INFILTRATE: (0, 158, 115),
    RegionKind.TUMOUR: (204, 121, 167),
}
"""Mostly of Okabe and Ito's palette for colour-blind readers (jfly.uni-koeln.de/color, 2008). Names stand in the
picture as well, because eight colours are too many to tell by colour alone."""

WORDS: dict[RegionKind, str] = {RegionKind.ANALYSE: "area to analyse", RegionKind.EXCLUDE: "excluded"}
"""Names of kinds that are no nouns."""

DASH_PX = 9
"""Length of the dashes and gaps of a proposed region."""

SHIFT = 4
"""OpenCV takes corners in sixteenths of a pixel."""

_ROW_PX = 26
_SWATCH_PX = 34


def region_words(kind: RegionKind, *, proposed: bool) -> str:
    """Return how a picture names a region.

    Examples
    --------
    >>> region_words(RegionKind.INFILTRATE, proposed=True), region_words(RegionKind.EXCLUDE, proposed=False)
    ('infiltrate (proposed, not reviewed)', 'excluded')
    """
    name = WORDS.get(kind, kind.value)
    return f"{name} (proposed, not reviewed)" if proposed else name


def draw_regions(canvas: NDArray[np.uint8], regions: Sequence[Region], grid: Grid, scale: float) -> NDArray[np.uint8]:
    """Return a picture with the outlines of regions, those that the software proposes in dashes.

    Parameters
    ----------
    canvas : ndarray, shape (H, W, 3), uint8
        Picture of the whole slide.
    regions : sequence of Region
    grid : Grid
        Pixels of the thumbnail.
    scale : float
        Picture pixels in one of them.
    """
    drawn = canvas.copy()
    for region in regions:
        # A white rim sets every colour off from every tissue.
        for colour, thickness in (((255, 255, 255), 5), (COLOURS[region.kind], 3)):
            for ring in _rings(region, grid, scale):
                lines = _dashes(ring) if region.proposed else [ring]
                corners = [np.round(line * 2**SHIFT).astype(np.int32) for line in lines]
                cv2.polylines(drawn, corners, not region.proposed, colour, thickness, cv2.LINE_AA, SHIFT)
    return drawn


def name_regions(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], regions: Sequence[Region], grid: Grid, panel: Panel
) -> None:
    """Write the name of each kind into its largest region; one for which there is no room stands in the key alone.

    Parameters
    ----------
    draw : ImageDraw
    corner : tuple of int
        Upper left corner of the panel.
    regions : sequence of Region
    grid : Grid
        Pixels of the thumbnail.
    panel : Panel
    """
    largest: dict[tuple[RegionKind, bool], Region] = {}
    for region in sorted(regions, key=lambda one: float(one.area_l0.area)):
        largest[region.kind, region.proposed] = region
    taken: list[tuple[float, float, float, float]] = []
    smaller = shapely.MultiPolygon()
    for (kind, proposed), region in sorted(largest.items(), key=lambda one: float(one[1].area_l0.area)):
        # A name stands where its region is not covered by a smaller one, which has a name of its own.
        seen = shapely.intersection(region.area_l0, _slide_box(grid, panel))
        clear = shapely.difference(seen, smaller)
        smaller = shapely.union(smaller, region.area_l0)
        if seen.is_empty:
            continue
        part = max(shapely.get_parts(seen if clear.is_empty else clear), key=lambda piece: float(piece.area))
        point = part.representative_point()
        name = WORDS.get(kind, kind.value) + (" (proposed)" if proposed else "")
        half = width(name, TEXT_PX) / 2
        x = min(max(point.x / grid.scale_x * panel.scale, half + 4), max(panel.width - half - 4, half + 4))
        y = min(max(point.y / grid.scale_y * panel.scale, TEXT_PX), panel.height - TEXT_PX)
        for shift in (0, 1, -1, 2, -2):
            box = (x - half, y + (shift - 0.5) * TEXT_PX, x + half, y + (shift + 0.5) * TEXT_PX)
            if not any(_overlap(box, other) for other in taken):
                taken.append(box)
                write(draw, (corner[0] + x, corner[1] + box[1]), name, TEXT_PX, align=0.5, halo=True)
                break


def key_height_px(regions: Sequence[Region], panel_width_px: int) -> int:
    """Return the height of the key that ``write_key`` writes."""
    rows = [row for *_, row in _places(regions, panel_width_px)]
    return _ROW_PX * (max(rows) + 1) if rows else 0


def write_key(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], regions: Sequence[Region], panel_width_px: int
) -> None:
    """Write which line stands for which kind of region, in rows as wide as the panel."""
    for kind, proposed, left, row in _places(regions, panel_width_px):
        x, y = place[0] + left, place[1] + row * _ROW_PX
        ends = ((0, 9), (17, 26)) if proposed else ((0, 26),)
        for begin, end in ends:
            draw.line((x + begin, y + 10, x + end, y + 10), fill=COLOURS[kind], width=4)
        write(draw, (x + _SWATCH_PX, y), region_words(kind, proposed=proposed), TEXT_PX)


def _places(regions: Sequence[Region], panel_width_px: int) -> Iterator[tuple[RegionKind, bool, int, int]]:
    """Yield the entries of the key: kind, whether proposed, left end and row."""
    there = {(region.kind, region.proposed) for region in regions}
    left, row, room = 0, 0, max(panel_width_px, NARROWEST_PX)
    for kind in RegionKind:
        for proposed in (False, True):
            if (kind, proposed) not in there:
                continue
            wide = _SWATCH_PX + round(width(region_words(kind, proposed=proposed), TEXT_PX)) + EDGE_PX
            if left and left + wide > room + EDGE_PX:
                left, row = 0, row + 1
            yield kind, proposed, left, row
            left += wide


def _rings(region: Region, grid: Grid, scale: float) -> Iterator[NDArray[np.float64]]:
    for part in shapely.get_parts(region.area_l0):
        for ring in (part.exterior, *part.interiors):
            yield shapely.get_coordinates(ring) * [scale / grid.scale_x, scale / grid.scale_y]


def _dashes(ring: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a ring in dashes, the first from its first corner."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    begins = np.arange(0.0, along[-1], 2 * DASH_PX)
    dashes = []
    for begin in begins:
        end = min(begin + DASH_PX, along[-1])
        at = np.concatenate([[begin], along[(along > begin) & (along < end)], [end]])
        dashes.append(np.stack([np.interp(at, along, ring[:, axis]) for axis in (0, 1)], axis=1))
    return dashes


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _slide_box(grid: Grid, panel: Panel) -> shapely.Polygon:
    return shapely.box(0, 0, panel.width / panel.scale * grid.scale_x, panel.height / panel.scale * grid.scale_y)
