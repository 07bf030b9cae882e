"""The overview of a slide: what was analysed, and where the positive cells lie."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.report.density_map import SMOOTHING_UM, DensityMap, positive_density, round_up, viridis
from ihc_quant.report.figures import format_count, format_marker, positive_cells
from ihc_quant.report.lettering import INK, write
from ihc_quant.report.picture_sheet import LEGEND_PX, TEXT_PX, TITLE_PX, WIDE, Panel, Sheet, fit_panel, resized
from ihc_quant.report.region_outlines import draw_regions, key_height_px, name_regions, write_key
from ihc_quant.report.spoiled_outlines import SpoiledPlaces, draw_spoiled, spoiled_key_height_px, write_spoiled_key

TISSUE_COLOUR = (0, 0, 0)
TILE_COLOUR = (0, 114, 178)
EXCLUDED_COLOUR = (213, 94, 0)
"""Blue and vermilion of Okabe and Ito's palette for colour-blind readers (jfly.uni-koeln.de/color, 2008)."""
NO_TISSUE_COLOUR = (241, 243, 244)


def draw_overview(
    rgb: NDArray[np.uint8],
    grid: Grid,
    tissue_mask: NDArray[np.bool_],
    plan: TilePlan,
    x_l0: NDArray[np.float64],
    y_l0: NDArray[np.float64],
    positive: NDArray[np.bool_],
    *,
    slide_id: str,
    marker: str,
    fragments: NDArray[np.int16] | None = None,
    excluded: Sequence[Tile] = (),
    analysed: NDArray[np.bool_] | None = None,
    regions: Sequence[Region] = (),
    spoiled: SpoiledPlaces | None = None,
    density: DensityMap | None = None,
    smoothing_um: float = SMOOTHING_UM,
    scale_end_per_mm2: float | None = None,
) -> NDArray[np.uint8]:
    """Draw the slide's thumbnail with tissue and tiles, and beside it the density of positive cells.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        Thumbnail, sRGB.
    grid : Grid
        The thumbnail's pixels.
    tissue_mask : ndarray, shape (H, W), bool
        Tissue, on the same grid.
    plan : TilePlan
        Tiles that were used; on its own grid.
    x_l0, y_l0 : ndarray, shape (n,), float64
        All cells, in level-0 pixels.
    positive : ndarray, shape (n,), bool
        Their calls.
    slide_id, marker : str
        For the caption.
    fragments : ndarray, shape (H, W), int16, optional
        Number of the tissue fragment, 0 = none; numbers are drawn.
    excluded : sequence of Tile
        Tiles of tissue that were not used; hatched.
    analysed : ndarray, shape (H, W), bool, optional
        Tissue that was analysed, where that is not all of it; the rest is dimmed and not in the heat map.
    regions : sequence of Region
        Drawn and proposed; outlined on the thumbnail and named.
    spoiled : SpoiledPlaces, optional
        What quality control found; outlined by cause, hatched where it is left out.
    density : DensityMap, optional
        Of the same cells and kernel, where it was computed already; not used where tiles of its tissue were not read.
    smoothing_um : float
        Standard deviation of the heat map's kernel in µm.
    scale_end_per_mm2 : float, optional
        Upper end of the colour scale, so that several slides compare; a round number above the maximum where not
        given.

    Returns
    -------
    ndarray, shape (H', W', 3), uint8
        sRGB.

    Raises
    ------
    ValueError
        Where the shapes do not belong together.
    """
    if (
        rgb.ndim != 3
        or rgb.shape[:2] != tissue_mask.shape
        or any(other is not None and other.shape != rgb.shape[:2] for other in (fragments, analysed))
    ):
        raise ValueError("thumbnail, tissue mask and fragments have one height and width")
    if not len(x_l0) == len(y_l0) == len(positive):
        raise ValueError("cells have one x, one y and one call each")
    panel = fit_panel(rgb.shape[1], rgb.shape[0])
    analysed = tissue_mask.copy() if analysed is None else analysed & tissue_mask
    for tile in excluded:
        (x0, y0), (x1, y1) = _corners(tile, plan.grid, grid, 1.0)
        analysed[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = False
    if density is None or not np.array_equal(density.analysed, analysed):
        x_px, y_px = x_l0[positive] / grid.scale_x, y_l0[positive] / grid.scale_y
        per_mm2 = positive_density(x_px, y_px, analysed, grid.pixel_um, smoothing_um)
    else:
        per_mm2 = density.per_mm2
    end = scale_end_per_mm2 if scale_end_per_mm2 is not None else round_up(float(per_mm2.max(initial=0.0)))
    key_px = key_height_px(regions, panel.width)
    sheet = Sheet.of(
        panel,
        stacked=rgb.shape[1] > WIDE * rgb.shape[0],
        notes=_notes(smoothing_um, grid.pixel_um),
        legend_px=LEGEND_PX + key_px + spoiled_key_height_px(spoiled, panel.width),
    )
    cells, found = positive_cells(marker), int(np.count_nonzero(positive))
    sheet.head(
        f"{slide_id}  {format_marker(marker)}", f"{format_count(found)} {cells} of {format_count(len(positive))} cells"
    )
    um_per_px = grid.pixel_um / panel.scale
    tissue = _tissue_panel(rgb, analysed, tissue_mask, grid, plan, excluded, panel)
    tissue = draw_regions(draw_spoiled(tissue, spoiled), regions, grid, panel.scale)
    sheet.panel(0, "Tissue, tiles and regions" if regions else "Tissue and tiles", tissue, um_per_px)
    sheet.panel(1, "Density of positive cells", _density_panel(per_mm2, analysed, end, panel), um_per_px)
    if fragments is not None:
        _number_fragments(sheet.draw, sheet.corner(0), fragments, panel.scale)
    name_regions(sheet.draw, sheet.corner(0), regions, grid, panel)
    _legend(sheet.draw, sheet.below(0), bool(excluded))
    x, y = sheet.below(0)
    write_key(sheet.draw, (x, y + LEGEND_PX - 14), regions, panel.width)
    write_spoiled_key(sheet.draw, (x, y + LEGEND_PX - 14 + key_px), spoiled, panel.width)
    _colour_bar(sheet, end, cells, found > 0)
    return np.asarray(sheet.picture)


def _resized_mask(mask: NDArray[np.bool_], panel: Panel) -> NDArray[np.uint8]:
    """Return the mask as 0 and 1, its edge drawn smoothly where pixels are enlarged."""
    return (cv2.resize(mask.astype(np.float32), (panel.width, panel.height)) >= 0.5).astype(np.uint8)


def _outline(canvas: NDArray[np.uint8], mask: NDArray[np.uint8], colour: tuple[int, int, int], thickness: int) -> None:
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA)


def _tissue_panel(
    rgb: NDArray[np.uint8],
    analysed: NDArray[np.bool_],
    tissue_mask: NDArray[np.bool_],
    grid: Grid,
    plan: TilePlan,
    excluded: Sequence[Tile],
    panel: Panel,
) -> NDArray[np.uint8]:
    canvas = resized(rgb, panel)
    outside = _resized_mask(analysed, panel) == 0
    canvas[outside] = (canvas[outside].astype(np.float32) * 0.45 + np.float32(0.55 * 225)).astype(np.uint8)
    lines = canvas.copy()
    for tile in plan.tiles:
        (x0, y0), (x1, y1) = _corners(tile, plan.grid, grid, panel.scale)
        cv2.rectangle(lines, (x0, y0), (x1 - 1, y1 - 1), TILE_COLOUR, 1)
    canvas = np.asarray(cv2.addWeighted(lines, 0.7, canvas, 0.3, 0), np.uint8)
    for tile in excluded:
        (x0, y0), (x1, y1) = _corners(tile, plan.grid, grid, panel.scale)
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), EXCLUDED_COLOUR, 2)
        cv2.line(canvas, (x0, y0), (x1, y1), EXCLUDED_COLOUR, 1, cv2.LINE_AA)
        cv2.line(canvas, (x0, y1), (x1, y0), EXCLUDED_COLOUR, 1, cv2.LINE_AA)
    _outline(canvas, _resized_mask(tissue_mask, panel), TISSUE_COLOUR, 2)
    return canvas


def _corners(tile: Tile, tile_grid: Grid, grid: Grid, scale: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the corners of a tile's core in pixels of the grid times ``scale``."""
    box = tile_grid.to_l0(tile.core)
    x, y = scale / grid.scale_x, scale / grid.scale_y
    return (round(box.x0 * x), round(box.y0 * y)), (round(box.x1 * x), round(box.y1 * y))


def _density_panel(
    density: NDArray[np.float32], analysed: NDArray[np.bool_], end: float, panel: Panel
) -> NDArray[np.uint8]:
    # Cells beyond the scale's end take its last colour.
    level = np.clip(density / np.float32(end) * 255, 0, 255).astype(np.uint8)
    # The colour at the edge goes on beneath the mask, or enlarging would mix it with the nothing outside.
    level = np.where(analysed, level, cv2.dilate(level, np.ones((5, 5), np.uint8))).astype(np.uint8)
    coloured = viridis(resized(level, panel))
    mask = _resized_mask(analysed, panel)
    coloured[mask == 0] = NO_TISSUE_COLOUR
    _outline(coloured, mask, (128, 134, 139), 1)
    return coloured


def _number_fragments(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], fragments: NDArray[np.int16], scale: float
) -> None:
    for number, place in enumerate(ndimage.find_objects(fragments), start=1):
        if place is None:
            continue
        # The place deepest inside, so that the number of a crescent does not stand beside it.
        inside = np.pad(fragments[place] == number, 1).astype(np.uint8)
        row, column = np.unravel_index(int(np.argmax(cv2.distanceTransform(inside, cv2.DIST_L2, 3))), inside.shape)
        x = corner[0] + (place[1].start + column - 0.5) * scale
        y = corner[1] + (place[0].start + row - 0.5) * scale
        write(draw, (x, y - TITLE_PX / 2), str(number), TITLE_PX, align=0.5, halo=True)


def _legend(draw: ImageDraw.ImageDraw, place: tuple[int, int], any_excluded: bool) -> None:
    x, y = place
    draw.line((x, y + 10, x + 26, y + 10), fill=TISSUE_COLOUR, width=3)
    write(draw, (x + 34, y), "tissue", TEXT_PX)
    draw.rectangle((x + 108, y + 2, x + 126, y + 18), outline=TILE_COLOUR, width=2)
    write(draw, (x + 134, y), "tile used", TEXT_PX)
    draw.rectangle((x + 232, y + 2, x + 250, y + 18), fill=(205, 207, 210))
    write(draw, (x + 258, y), "dimmed: not analysed", TEXT_PX)
    if any_excluded:
        draw.rectangle((x, y + 28, x + 18, y + 44), outline=EXCLUDED_COLOUR, width=2)
        draw.line((x, y + 28, x + 18, y + 44), fill=EXCLUDED_COLOUR)
        draw.line((x, y + 44, x + 18, y + 28), fill=EXCLUDED_COLOUR)
        write(draw, (x + 34, y + 26), "tile not read", TEXT_PX)


def _colour_bar(sheet: Sheet, end: float, cells: str, any_positive: bool) -> None:
    x, y = sheet.below(1)
    if not any_positive:
        write(sheet.draw, (x, y), f"no {cells} found", TEXT_PX)
        return
    length = max(200, sheet.size.width * 45 // 100)
    ramp = np.tile(np.linspace(0, 255, length).astype(np.uint8), (18, 1))
    sheet.picture.paste(Image.fromarray(viridis(ramp)), (x, y))
    sheet.draw.rectangle((x, y, x + length - 1, y + 17), outline=INK)
    for share in (0.0, 0.5, 1.0):
        tick = x + share * (length - 1)
        sheet.draw.line((tick, y + 17, tick, y + 23), fill=INK)
        write(sheet.draw, (tick, y + 24), f"{share * end:,.6g}", TEXT_PX - 2, align=share)
    write(sheet.draw, (x + length + 14, y - 2), f"{cells} per mm²", TEXT_PX)


def _notes(smoothing_um: float, pixel_um: float) -> str:
    return (
        f"Heat map: positive cells smoothed with a Gaussian kernel of {smoothing_um:g} µm standard deviation, "
        f"divided by the tissue area smoothed alike. One thumbnail pixel is {pixel_um:.3g} µm. {RESEARCH_USE_ONLY}"
    )
