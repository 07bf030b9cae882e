"""Where tissue lies double: bands that are twice as dense as the tissue on both of their sides. Masks in, masks out."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.tissue.quality_settings import QualitySettings
from ihc_quant.tissue.smoothing import smoothed
from ihc_quant.tissue.tile_measures import BLUE, FLOOR, MEAN, RED, MeasureRaster

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

DIRECTIONS = 8
"""Directions, over half a turn, in which a band is compared with what lies on its two sides."""

_EVERYWHERE = 9.0
"""Density set where there is nothing to compare with: no opening falls there."""

_CLOSED_PX = 5
_ROOM_PX = 6


def find_folds(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where folds lie, on the raster's squares; bool (H, W).

    Two layers add up in every channel and fill each other's gaps, so the means of red, green and blue and the floor
    of density all rise alike. A T zone has more chromogen and no more hematoxylin, ink one colour only. Where glass or
    fat lies on one side nothing is told: a strip of epidermis is a dense band as well.
    """
    known = _with_cells(measures, tissue, settings)
    rise, even = _rises(measures, known, settings)
    floor = measures.plane(FLOOR)
    candidates = known & even & (rise >= settings.fold_weak) & (smoothed(floor, known, 1.0) >= settings.fold_od)
    found = np.zeros(known.shape, np.bool_)
    for piece, place in _pieces(candidates, settings.fold_least_um2 / measures.step_um**2):
        # Where a fold runs into a dark region, its own rise parts it from that.
        typical = float(np.quantile(rise[place][piece], 0.6))
        trimmed = piece & (rise[place] >= 1 + settings.fold_trim * (typical - 1))
        whole = _closed(trimmed) & tissue[place]
        for part, within in _pieces(whole, settings.fold_least_um2 / measures.step_um**2):
            here = known[place][within]
            rises = rise[place][within][part & here]
            if (
                _is_strong(rises, float(np.count_nonzero(part)) * measures.step_um**2, settings)
                and _is_band(part, measures.step_um, settings)
                and _is_sharp(part, floor[place][within], here, settings)
            ):
                found[place][within] |= part
    return found


def _with_cells(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return the tissue that is dense enough to be compared, without its rim, where glass shows through."""
    read = tissue & np.isfinite(measures.plane(MEAN))
    dense = read & (smoothed(measures.plane(MEAN), read, 1.5) >= settings.fold_pale_od)
    # The image's border is no rim.
    eroded = cv2.erode(dense.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(eroded > 0, np.bool_)


def _rises(measures: MeasureRaster, known: Mask, settings: QualitySettings) -> tuple[Plane, Mask]:
    """Return the least rise of floor and channels over both sides, in the best direction; and whether channels agree.

    An opening by a line keeps what is longer than the line. Over a band that is narrower it falls to the denser one of
    the two sides; where one side is missing it stays.
    """
    mean, red, blue = measures.plane(MEAN), measures.plane(RED), measures.plane(BLUE)
    planes = ((measures.plane(FLOOR), 0.01), (red, 0.02), (3 * mean - red - blue, 0.02), (blue, 0.02))
    sharper = [smoothed(plane, known, 1.0) + np.float32(floor) for plane, floor in planes]
    softer = [
        np.where(known, smoothed(plane, known, 1.5) + np.float32(floor), np.float32(_EVERYWHERE))
        for plane, floor in planes
    ]
    best, even = np.zeros(known.shape, np.float32), np.ones(known.shape, np.bool_)
    for line in _lines(max(3, 2 * int(settings.fold_widest_um / measures.step_um / 2) + 1)):
        rises = np.stack(
            [
                upper / np.maximum(cv2.morphologyEx(lower, cv2.MORPH_OPEN, line), np.float32(floor))
                for upper, lower, (_, floor) in zip(sharper, softer, planes, strict=True)
            ]
        )
        least = rises.min(axis=0)
        better = least > best
        best[better] = least[better]
        even[better] = (rises[1:].max(axis=0) <= settings.fold_spread * rises[1:].min(axis=0))[better]
    return np.where(known, best, np.float32(0)), even


def _lines(length_px: int) -> list[NDArray[np.uint8]]:
    """Return lines of one length through the middle of a window, in all directions."""
    radius = length_px // 2
    lines = []
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        line = np.zeros((length_px, length_px), np.uint8)
        dx, dy = round(radius * float(np.cos(angle))), round(radius * float(np.sin(angle)))
        cv2.line(line, (radius - dx, radius - dy), (radius + dx, radius + dy), (1,))
        lines.append(line)
    return lines


def _closed(mask: Mask) -> Mask:
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_CLOSED_PX, _CLOSED_PX))
    padded = np.pad(mask, _CLOSED_PX).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, window)[_CLOSED_PX:-_CLOSED_PX, _CLOSED_PX:-_CLOSED_PX]
    return np.asarray(closed > 0, np.bool_)


def _pieces(mask: Mask, least_px: float) -> Iterator[tuple[Mask, tuple[slice, slice]]]:
    """Yield the connected pieces of a mask, each with some room around it, and where they lie."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[number] < least_px:
            continue
        place = (
            slice(max(0, rows.start - _ROOM_PX), rows.stop + _ROOM_PX),
            slice(max(0, columns.start - _ROOM_PX), columns.stop + _ROOM_PX),
        )
        yield np.asarray(labels[place] == number, np.bool_), place


def _is_strong(rises: Plane, area_um2: float, settings: QualitySettings) -> bool:
    """Whether enough of a piece rises as two layers do; a small piece must rise more."""
    if rises.size == 0 or np.count_nonzero(rises >= settings.fold_strong) < settings.fold_share * rises.size:
        return False
    return area_um2 >= settings.fold_um2 or float(np.median(rises)) >= settings.fold_small


def _is_band(piece: Mask, step_um: float, settings: QualitySettings) -> bool:
    """Whether a piece is long for its width."""
    filled = np.pad(ndimage.binary_fill_holes(piece), 1).astype(np.uint8)
    width = max(1.0, 2 * float(cv2.distanceTransform(filled, cv2.DIST_L2, 5).max()) - 1)
    longer = int(np.count_nonzero(piece)) >= settings.fold_longer * width**2
    return width * step_um <= settings.fold_widest_um and longer


def _is_sharp(piece: Mask, floor: Plane, known: Mask, settings: QualitySettings) -> bool:
    """Whether the floor falls at once at the edge of a piece, as where a second layer ends."""
    inside, outside = ndimage.distance_transform_edt(piece), ndimage.distance_transform_edt(~piece)
    inner, outer = piece & (inside >= 1.5) & (inside < 4), known & ~piece & (outside >= 1.5) & (outside < 4)
    if min(np.count_nonzero(inner), np.count_nonzero(outer)) < 5:
        return False
    falls = np.median(floor[inner]) >= settings.fold_fall * np.median(floor[outer])
    clear = np.quantile(floor[inner], 0.25) >= settings.fold_clear * np.quantile(floor[outer], 0.75)
    return bool(falls and clear)
