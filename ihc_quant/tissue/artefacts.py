"""Where ink, blur and empty or saturated places lie. Pure; masks in, masks out."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.stain.density import White, averaged, optical_density
from ihc_quant.tissue.quality_settings import QualitySettings
from ihc_quant.tissue.smoothing import smoothed, weighted, without_specks
from ihc_quant.tissue.tile_measures import COARSE, FINE, FLOOR, MEAN, MeasureRaster

Mask = NDArray[np.bool_]

PEN_WORKING_UM = 8.0
"""Overviews finer than half of this are averaged first."""

STRIP_PX = 256
"""Rows of an overview on which ink is sought at once: on a whole glass the densities alone would take a gigabyte."""


def find_pen(overview: NDArray[np.uint8], pixel_um: float, white: White, settings: QualitySettings) -> Mask:
    """Return where ink lies on an overview, over tissue and over glass; bool (H, W).

    Ink is told by the colour of the densities that remain after an opening, as shares of the sum of the channels:
    hematoxylin is (.40 .43 .18), DAB (.17 .35 .48). Blue and green ink absorb red most, red ink next to none of it,
    black all alike. Brown, orange and violet ink cannot be told from stain.
    """
    factor = max(1, int(PEN_WORKING_UM / pixel_um + 1e-6))
    pixels, working_um = averaged(overview, factor), pixel_um * factor
    sigma_px = max(0.4, 4.0 / working_um)
    edge = max(3, 2 * round(settings.pen_window_um / working_um / 2) + 1)
    inked, dark = np.zeros(pixels.shape[:2], np.bool_), np.zeros(pixels.shape[:2], np.bool_)
    beyond = edge + int(np.ceil(4 * sigma_px)) + 1
    for start in range(0, len(pixels), STRIP_PX):
        first, end = max(0, start - beyond), start + STRIP_PX
        opened = _opened(optical_density(pixels[first : end + beyond], white), sigma_px, edge)
        opened = opened[start - first : end - first]
        inked[start:end], highest = _ink(opened, settings)
        dark[start:end] = highest >= settings.pen_dark_od
    inked = without_specks(inked, settings.pen_um2 / working_um**2)
    # Where strokes lie on one another their colour drowns; so dark is no tissue when it touches ink.
    inked = _joined(inked, inked | dark)
    height, width = overview.shape[:2]
    return np.asarray(inked.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width], np.bool_)


def _opened(density: NDArray[np.float32], sigma_px: float, edge: int) -> NDArray[np.float32]:
    """Return what a grey opening of ``edge`` pixels leaves of densities."""
    density = np.asarray(cv2.GaussianBlur(density, (0, 0), sigmaX=sigma_px), np.float32)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    opened = np.asarray(cv2.morphologyEx(density, cv2.MORPH_OPEN, window, borderType=cv2.BORDER_REFLECT), np.float32)
    return np.maximum(opened, 0)


def _ink(opened: NDArray[np.float32], settings: QualitySettings) -> tuple[Mask, NDArray[np.float32]]:
    """Return where opened densities have the colour of ink, and the strongest channel; both (H, W)."""
    red, green, blue = (opened[..., channel] for channel in range(3))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    total = np.maximum(red + green + blue, np.float32(1e-6))
    inked = (red >= 0.48 * total) & (blue <= 0.27 * total)
    inked |= (green <= 0.29 * total) & (red >= 0.36 * total)
    inked |= (red <= 0.15 * total) & (green >= 0.4 * total) & (blue >= 0.33 * total)
    # Off the line of the shares of hematoxylin and DAB: green ink mixed with tissue to its red side.
    inked |= red + 0.767 * (blue - 0.18 * total) >= 0.48 * total
    inked &= highest >= settings.pen_od
    inked |= (total >= 3 * settings.pen_grey_od) & (highest - lowest <= settings.pen_grey_chroma * total / 3)
    return np.asarray(inked, np.bool_), highest


def _joined(mask: Mask, wider: Mask) -> Mask:
    """Return the connected pieces of the wider mask that hold some of the mask."""
    count, labels = cv2.connectedComponents(wider.astype(np.uint8), connectivity=8)
    held = np.bincount(labels[mask], minlength=count) > 0
    held[0] = False
    return np.asarray(held[labels], np.bool_)


def find_blur(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where tissue is out of focus, on the raster's squares; bool (H, W).

    A ratio of two peaks does not see how much there is, only how sharp it is: pale stroma and fat are not blur. Its
    logarithm is averaged with weights that level off, so that at a seam the sharp side does not outvote the other. The
    seam lies half way between sharp and blurred; whether a place is blurred and not only soft, its middle ratio tells.
    """
    known = tissue & np.isfinite(measures.plane(FINE))
    least_px = settings.blur_um2 / measures.step_um**2
    blurred = _sharpness(measures, known, known, settings) < settings.blur_ratio
    # An edge of tissue against glass is a ramp in any focus, so it may belong to a blurred place but not make one.
    off_edges = _sharpness(measures, known, _off_edges(measures, known, tissue), settings)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(blurred.astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    proven, strong = (
        np.bincount(labels[blurred & (off_edges < ratio)], minlength=count)
        for ratio in (settings.blur_ratio, settings.blur_strong)
    )
    kept = (sizes >= least_px) & (proven >= np.maximum(least_px / 2, 0.2 * sizes)) & (strong >= proven / 2)
    kept[0] = False
    # Empty places that blur surrounds say nothing of their own.
    return np.asarray(known & ~without_specks(~kept[labels], least_px / 20), np.bool_)


def _sharpness(measures: MeasureRaster, known: Mask, used: Mask, settings: QualitySettings) -> NDArray[np.float32]:
    """Return the usual ratio of peaks of the squares used around a place; infinite where they say too little."""
    fine, coarse = np.where(known, measures.plane(FINE), 0), np.where(known, measures.plane(COARSE), 0)
    ratio = np.log(np.maximum(fine, 1e-8) / np.maximum(coarse, 1e-8)) / 2
    told = np.where(used, coarse / (coarse + np.float32(settings.blur_least**2)), 0).astype(np.float32)
    typical, weight = weighted(np.clip(ratio, *_LOG_RATIOS).astype(np.float32), told, 1.6)
    return np.where(used & (weight >= 0.05), np.exp(typical), np.float32(np.inf))


def _off_edges(measures: MeasureRaster, known: Mask, tissue: Mask) -> Mask:
    """Return dense tissue without its rim, and any tissue well within the mask; the image's border is no edge."""
    dense = known & (smoothed(measures.plane(MEAN), known, 1.0) >= 0.05)
    inner, deep = (
        cv2.erode(mask.astype(np.uint8), np.ones((edge, edge), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
        for mask, edge in ((dense, 5), (tissue, 9))
    )
    return np.asarray(inner | (known & deep), np.bool_)


_LOG_RATIOS = (float(np.log(0.25)), float(np.log(1.4)))


def find_blank(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where there is nothing within the tissue mask, as in an air bubble; bool (H, W)."""
    known = tissue & np.isfinite(measures.plane(MEAN))
    return without_specks(
        known & (smoothed(measures.plane(MEAN), known, 1.0) < settings.blank_od), 2000.0 / measures.step_um**2
    )


def find_saturated(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where stain is so dense that cells cannot be told apart; bool (H, W)."""
    known = tissue & np.isfinite(measures.plane(FLOOR))
    return without_specks(
        known & (smoothed(measures.plane(FLOOR), known, 1.0) >= settings.saturated_od), 1000.0 / measures.step_um**2
    )


def edge_band(tissue: Mask, width_px: float) -> Mask:
    """Return the tissue that lies within a width of an edge of tissue; the border of the image is none."""
    # Without background OpenCV measures to nowhere; then there is no edge.
    if tissue.all():
        return np.zeros(tissue.shape, np.bool_)
    distance = cv2.distanceTransform(tissue.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(tissue & (distance - 0.5 < width_px), np.bool_)
