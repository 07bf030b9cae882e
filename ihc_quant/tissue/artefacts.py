"""Where ink, folds, blur and empty or saturated places lie. Pure; masks in, masks out."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.stain.density import White, averaged, optical_density
from ihc_quant.tissue.quality_settings import QualitySettings
from ihc_quant.tissue.tile_measures import COARSE, FINE, FLOOR, MEAN, MeasureRaster

Mask = NDArray[np.bool_]

PEN_WORKING_UM = 8.0
"""Overviews finer than half of this are averaged first."""


def find_pen(overview: NDArray[np.uint8], pixel_um: float, white: White, settings: QualitySettings) -> Mask:
    """Return where ink lies on an overview, over tissue and over glass; bool (H, W).

    Ink is told by the colour of the densities that remain after an opening, as shares of the sum of the channels:
    hematoxylin is (.40 .43 .18), DAB (.17 .35 .48). Blue and green ink absorb red most, red ink next to none of it,
    black all alike. Brown, orange and violet ink cannot be told from stain.
    """
    factor = max(1, int(PEN_WORKING_UM / pixel_um + 1e-6))
    density = optical_density(averaged(overview, factor), white)
    working_um = pixel_um * factor
    density = np.asarray(cv2.GaussianBlur(density, (0, 0), sigmaX=max(0.4, 4.0 / working_um)), np.float32)
    edge = max(3, 2 * round(settings.pen_window_um / working_um / 2) + 1)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    opened = np.asarray(cv2.morphologyEx(density, cv2.MORPH_OPEN, window, borderType=cv2.BORDER_REFLECT), np.float32)
    opened = np.maximum(opened, 0)
    red, green, blue = (opened[..., channel] for channel in range(3))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    total = np.maximum(red + green + blue, np.float32(1e-6))
    inked = (red >= 0.47 * total) & (blue <= 0.27 * total)
    inked |= (green <= 0.29 * total) & (red >= 0.36 * total)
    inked |= (red <= 0.15 * total) & (green >= 0.4 * total) & (blue >= 0.33 * total)
    inked &= highest >= settings.pen_od
    inked |= (total >= 3 * settings.pen_grey_od) & (highest - lowest <= settings.pen_grey_chroma * total / 3)
    inked = _without_specks(inked, settings.pen_um2 / working_um**2)
    height, width = overview.shape[:2]
    return np.asarray(inked.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width], np.bool_)


def find_folds(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where folds lie, on the raster's squares; bool (H, W).

    Two layers fill each other's gaps, so the floor of density rises to the sum of both; dense or strongly stained
    tissue of one layer keeps its gaps. Long narrow pieces are kept.
    """
    known = tissue & np.isfinite(measures.plane(FLOOR))
    floor = _smoothed(measures.plane(FLOOR), known, 1.0)
    mean = _smoothed(measures.plane(MEAN), known, 1.0)
    edge = max(3, 2 * round(settings.fold_around_um / measures.step_um / 2) + 1)
    around, around_mean = _typical(floor, known, edge), _typical(mean, known, edge)
    rise = np.minimum(floor / np.maximum(around, 0.015), 1.25 * mean / np.maximum(around_mean, 0.03))
    dark = known & (floor >= settings.fold_od)
    weak, strong = dark & (rise >= settings.fold_weak), dark & (rise >= settings.fold_strong)
    found = np.zeros(known.shape, np.bool_)
    for piece, place in _pieces(weak):
        if np.count_nonzero(piece & strong[place]) * measures.step_um**2 < settings.fold_um2 / 2:
            continue
        # Where a fold runs into a dark region, its own density parts it from that.
        trimmed = piece & (floor[place] >= settings.fold_trim * np.quantile(floor[place][piece], 0.75))
        for part, within in _pieces(trimmed):
            around_it = measures.plane(FLOOR)[place][within], known[place][within]
            if _is_band(part, measures.step_um, settings) and _is_sharp(part, *around_it, settings):
                found[place][within] |= part
    return found


def _pieces(mask: Mask) -> list[tuple[Mask, tuple[slice, slice]]]:
    """Return the connected pieces of a mask, each with some room around it, and where they lie."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    pieces = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        place = (
            slice(max(0, rows.start - _ROOM_PX), rows.stop + _ROOM_PX),
            slice(max(0, columns.start - _ROOM_PX), columns.stop + _ROOM_PX),
        )
        pieces.append((np.asarray(labels[place] == number, np.bool_), place))
    return pieces


_ROOM_PX = 5


def _is_band(piece: Mask, step_um: float, settings: QualitySettings) -> bool:
    """Whether a piece is long for its width."""
    area = float(np.count_nonzero(piece))
    if area * step_um**2 < settings.fold_um2:
        return False
    filled = np.pad(ndimage.binary_fill_holes(piece), 1, mode="edge").astype(np.uint8)
    width = 2 * float(cv2.distanceTransform(np.pad(filled, 1), cv2.DIST_L2, 3).max()) - 1
    return width * step_um <= settings.fold_widest_um and area >= settings.fold_longer * width**2


def _is_sharp(piece: Mask, floor: NDArray[np.float32], known: Mask, settings: QualitySettings) -> bool:
    """Whether the floor falls at once at the edge of a piece, as where a second layer ends."""
    inside, outside = ndimage.distance_transform_edt(piece), ndimage.distance_transform_edt(~piece)
    inner, outer = piece & (inside >= 1.5) & (inside < 4), known & ~piece & (outside >= 2) & (outside < 4)
    if min(np.count_nonzero(inner), np.count_nonzero(outer)) < 5:
        return False
    falls = np.median(floor[inner]) >= settings.fold_fall * np.median(floor[outer])
    clear = np.quantile(floor[inner], 0.25) >= settings.fold_clear * np.quantile(floor[outer], 0.75)
    return bool(falls and clear)


def find_blur(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where tissue is out of focus, on the raster's squares; bool (H, W).

    A ratio of two energies does not see how much there is, only how sharp it is: pale stroma and fat are not blur.
    """
    known = tissue & np.isfinite(measures.plane(FINE))
    fine = _smoothed(measures.plane(FINE), known, 1.5)
    coarse = _smoothed(measures.plane(COARSE), known, 1.5)
    blurred = known & (coarse >= settings.blur_least**2) & (fine < settings.blur_ratio**2 * coarse)
    blurred = _without_specks(blurred, settings.blur_um2 / measures.step_um**2)
    # At the seam the sharp side holds nearly all energy, so the seam is found too far within.
    grown = cv2.dilate(blurred.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=settings.blur_grown) > 0
    return np.asarray(grown & tissue, np.bool_)


def find_blank(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where there is nothing within the tissue mask, as in an air bubble; bool (H, W)."""
    known = tissue & np.isfinite(measures.plane(MEAN))
    return _without_specks(
        known & (_smoothed(measures.plane(MEAN), known, 1.0) < settings.blank_od), 2000.0 / measures.step_um**2
    )


def find_saturated(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where stain is so dense that cells cannot be told apart; bool (H, W)."""
    known = tissue & np.isfinite(measures.plane(FLOOR))
    return _without_specks(
        known & (_smoothed(measures.plane(FLOOR), known, 1.0) >= settings.saturated_od), 2000.0 / measures.step_um**2
    )


def edge_band(tissue: Mask, width_px: float) -> Mask:
    """Return the tissue that lies within a width of an edge of tissue; the border of the image is none."""
    # Without background OpenCV measures to nowhere; then there is no edge.
    if tissue.all():
        return np.zeros(tissue.shape, np.bool_)
    distance = cv2.distanceTransform(tissue.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(tissue & (distance - 0.5 < width_px), np.bool_)


def _smoothed(values: NDArray[np.float32], known: Mask, sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian mean over known places only; 0 far from any."""
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REFLECT)
    total = cv2.GaussianBlur(
        np.where(known, values, 0).astype(np.float32), (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(total / np.maximum(weight, 1e-6), np.float32)


def _typical(values: NDArray[np.float32], known: Mask, edge: int) -> NDArray[np.float32]:
    """Return the mean of the tissue around each place in which dark outliers count only a little."""
    weight = np.asarray(cv2.blur(known.astype(np.float32), (edge, edge), borderType=cv2.BORDER_REFLECT), np.float32)
    typical: NDArray[np.float32] = np.full(values.shape, np.inf, np.float32)
    for _ in range(4):
        held = np.where(known, np.minimum(values, 1.15 * typical), 0).astype(np.float32)
        total = np.asarray(cv2.blur(held, (edge, edge), borderType=cv2.BORDER_REFLECT), np.float32)
        typical = np.asarray(total / np.maximum(weight, np.float32(1e-6)), np.float32)
    return typical


def _without_specks(mask: Mask, least_px: float) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= least_px
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)
