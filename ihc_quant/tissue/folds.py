"""Where tissue lies double: sharp bands, about twice as dense as the tissue on both sides. Masks in, masks out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

LEVELS, LEVEL_STEP = 8, 1.1
"""How many levels of rise a place is cut at, and the factor from one to the next."""

_LEAST_EDGE_PX = 8
_CLOSED_PX = 5
_ROOM_PX = 6


def find_folds(measures: MeasureRaster, tissue: Mask, settings: QualitySettings) -> Mask:
    """Return where folds lie, on the raster's squares; bool (H, W).

    Two layers add up in every channel and fill each other's gaps, so the means of red, green and blue and the floor
    of density all rise alike. A T zone has more chromogen and no more hematoxylin, ink one colour only. Where glass or
    fat lies on one side nothing is told: a strip of epidermis is a dense band as well. A follicle rises as much as the
    weakest fold and may touch one, so no single rise parts them: a place is cut at rising levels, and of each nest
    of pieces those are taken whose edges are sharp, as where a layer ends; a follicle fades.
    """
    known = _with_cells(measures, tissue, settings)
    rise, even = _rises(measures, known, settings)
    floor = smoothed(measures.plane(FLOOR), known, 1.0)
    rise[~(known & even & (floor >= settings.fold_od))] = 0
    search = _Search(rise, _log_density(measures, tissue, (FLOOR,)), known, tissue, measures.step_um, settings)
    edges = _log_density(measures, tissue, (FLOOR, MEAN))
    found = np.zeros(known.shape, np.bool_)
    for place, rough, _ in search.folds(np.asarray(rise >= settings.fold_weak), (slice(0, None), slice(0, None)), 0):
        found[place] |= _fitted(rough, edges[place], known[place], tissue[place])
    return found


_Place = tuple[slice, slice]
_Fold = tuple[_Place, Mask, float]
"""Rows and columns, the piece within them, and how much of an area it is, each with its sharpness."""


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What a search for folds looks at, all on the raster's squares; ``floor`` is the logarithm of the floor."""

    rise: Plane
    floor: Plane
    known: Mask
    tissue: Mask
    step_um: float
    settings: QualitySettings

    def folds(self, mask: Mask, within: _Place, level: int) -> list[_Fold]:
        """Return the best of nested pieces: one of this level, or those of higher levels where they weigh more."""
        found: list[_Fold] = []
        for piece, inside in _pieces(mask, self.settings.fold_least_um2 / self.step_um**2):
            place = _shifted(inside, within)
            higher: list[_Fold] = []
            if level + 1 < LEVELS:
                least = self.settings.fold_weak * LEVEL_STEP ** (level + 1)
                higher = self.folds(piece & (self.rise[place] >= least), place, level + 1)
            whole = _closed(piece) & self.tissue[place]
            weight = self._weight(whole, place)
            found += [(place, whole, weight)] if weight > sum(fold[2] for fold in higher) else higher
        return found

    def _weight(self, piece: Mask, place: _Place) -> float:
        """Return the area of a piece times the share of its edge that is sharp, over the least share; 0 for no fold."""
        known, floor = self.known[place], self.floor[place]
        rises = self.rise[place][piece & known]
        rises = rises[rises > 0]
        if rises.size == 0 or float(np.median(rises)) < self.settings.fold_strong:
            return 0.0
        if not _is_band(piece, self.step_um, self.settings):
            return 0.0
        falls = _falls(piece, floor, known)
        if falls.size < _LEAST_EDGE_PX:
            return 0.0
        sharp = float(np.mean(falls > np.log(self.settings.fold_edge)))
        # Where the whole edge is sharp, tissue that is uneven on both sides is no reason to doubt it.
        if sharp < self.settings.fold_all_sharp and not _is_clear(piece, floor, known, self.settings):
            return 0.0
        return max(0.0, float(np.count_nonzero(piece)) * (sharp - self.settings.fold_sharp))


def _log_density(measures: MeasureRaster, known: Mask, planes: Sequence[int]) -> Plane:
    """Return the mean logarithm of planes of density."""
    logs = [np.log(np.maximum(np.nan_to_num(measures.plane(plane)), np.float32(0.005))) for plane in planes]
    return np.where(known, np.mean(logs, axis=0), 0).astype(np.float32)


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
    the two sides; where one side is missing it stays. At the image's border, where a line has no room to lie across a
    band, the side within the image is all there is to compare with.
    """
    mean, red, blue = measures.plane(MEAN), measures.plane(RED), measures.plane(BLUE)
    planes = ((measures.plane(FLOOR), 0.01), (red, 0.02), (3 * mean - red - blue, 0.02), (blue, 0.02))
    length = max(3, 2 * int(settings.fold_widest_um / measures.step_um / 2) + 1)
    sharper, softer = [], []
    for plane, floor in planes:
        sharper.append(smoothed(plane, known, 1.0) + np.float32(floor))
        lower = np.where(known, smoothed(plane, known, 1.5) + np.float32(floor), np.float32(_EVERYWHERE))
        edge = length // 2
        softer.append(cv2.copyMakeBorder(lower, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(0.0,)))
    inner = slice(length // 2, -(length // 2))
    best, even = np.zeros(known.shape, np.float32), np.ones(known.shape, np.bool_)
    for line in _lines(length):
        opened = np.stack([cv2.morphologyEx(lower, cv2.MORPH_OPEN, line)[inner, inner] for lower in softer])
        # In a corner a slanting line has no room at all.
        rises = np.where(opened.min(axis=0) > 0, np.stack(sharper) / np.maximum(opened, np.float32(0.01)), 0)
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


def _shifted(inside: _Place, within: _Place) -> _Place:
    """Return rows and columns of a part as rows and columns of the whole."""
    rows, columns = (
        slice(outer.start + inner.start, outer.start + inner.stop) for inner, outer in zip(inside, within, strict=True)
    )
    return rows, columns


def _is_band(piece: Mask, step_um: float, settings: QualitySettings) -> bool:
    """Whether a piece is long for its width."""
    filled = np.pad(ndimage.binary_fill_holes(piece), 1).astype(np.uint8)
    width = max(1.0, 2 * float(cv2.distanceTransform(filled, cv2.DIST_L2, 5).max()) - 1)
    longer = int(np.count_nonzero(piece)) >= settings.fold_longer * width**2
    return width * step_um <= settings.fold_widest_um and longer


def _distances(piece: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how deep each square lies in a piece, and how far off it; the image's border is no edge."""
    inside = ndimage.distance_transform_edt(np.pad(piece, 1, mode="edge"))[1:-1, 1:-1]
    return inside, ndimage.distance_transform_edt(~piece)


def _is_clear(piece: Mask, log_floor: Plane, known: Mask, settings: QualitySettings) -> bool:
    """Whether nearly all of the floor just inside a piece lies above nearly all just outside."""
    inside, outside = _distances(piece)
    inner, outer = known & (inside >= 1.5) & (inside < 4), known & (outside >= 1.5) & (outside < 4)
    if min(np.count_nonzero(inner), np.count_nonzero(outer)) < _LEAST_EDGE_PX:
        return False
    falls = np.median(log_floor[inner]) - np.median(log_floor[outer])
    clear = np.quantile(log_floor[inner], 0.25) - np.quantile(log_floor[outer], 0.75)
    return bool(falls >= np.log(settings.fold_fall) and clear >= np.log(settings.fold_clear))


def _falls(piece: Mask, log_density: Plane, known: Mask) -> Plane:
    """Return by how much density falls across the edge of a piece, at each square of the edge with two known sides."""
    inside, outside = _distances(piece)
    inner, outer = known & (inside >= 1.4) & (inside < 3.5), known & (outside >= 1.4) & (outside < 3.5)
    falls = smoothed(log_density, inner, 1.5) - smoothed(log_density, outer, 1.5)
    return np.asarray(falls[piece & (inside < 1.4) & _is_near(inner, 1.5) & _is_near(outer, 1.5)], np.float32)


def _fitted(piece: Mask, log_density: Plane, known: Mask, tissue: Mask) -> Mask:
    """Return a piece with its edge set where density lies half way between both of its sides."""
    inside, outside = _distances(piece)
    inner, outer = known & (inside >= 1.9), known & (outside >= 1.9) & (outside < 5)
    if np.count_nonzero(inner) < _LEAST_EDGE_PX:
        inner = known & piece
    half = (smoothed(log_density, inner, 3.0) + smoothed(log_density, outer, 3.0)) / 2
    told = _is_near(inner, 3.0) & _is_near(outer, 3.0)
    dense = np.where(told, smoothed(log_density, tissue, 0.8) >= half, piece)
    kept = (outside <= 1) & dense | (inside > 3)
    closed = cv2.morphologyEx(np.pad(kept, 3).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.asarray((closed[3:-3, 3:-3] > 0) & tissue, np.bool_)


def _is_near(mask: Mask, sigma_px: float) -> Mask:
    """Return where a Gaussian mean over a mask has something to stand on."""
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigmaX=sigma_px) > 0.02, np.bool_)
