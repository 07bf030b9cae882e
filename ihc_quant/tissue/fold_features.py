"""What the network that tells folds sees of each square of 8 µm."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.tissue.smoothing import smoothed
from ihc_quant.tissue.tile_measures import BLUE, COARSE, FINE, FLOOR, MEAN, RED

Plane = NDArray[np.float32]

PLANES = 17
"""How many planes are seen."""

NEIGHBOURHOOD_PX = 10.0
"""Standard deviation, in squares, of the neighbourhood that a square's densities are compared with."""

DIRECTIONS = 8
"""Directions, over half a turn, in which a band is compared with what lies on its two sides."""

LINE_PX = 25
"""Length in squares of the lines that compare, 200 µm: wider bands are not told by them."""

RISES = slice(12, 16)
"""Planes of the rises of floor, red, green and blue."""

FEATURE_REACH_PX = 40
"""How far, in squares, what lies around a square can change what is seen of it."""

LEAST_OD = 0.02
LEAST_ENERGY = 1e-6
_MIDDLE_LOG_OD, _MIDDLE_LOG_ENERGY = -1.5, -4.0
_CONTRAST, _RISE = 3.0, 2.0
_EVERYWHERE = 9.0
"""Density set where there is nothing to compare with: no opening falls there."""

_NO_ROOM = -2.0
"""Logarithm of the rise where a line has no room: at the image's corners."""


def seen(values: NDArray[np.float32], tissue: NDArray[np.bool_]) -> Plane:
    """Return what the network sees; 0 where no tissue was read.

    Logarithms of the densities (mean, floor, red, green, blue) and of both energies; the densities over those of the
    neighbourhood; the rises of floor, red, green and blue over the denser of both sides, in the direction in which the
    least of them rises most; and whether a square is tissue. Two layers add up in every channel and fill each other's
    gaps, a T zone raises one stain alone, and ink one colour.

    Parameters
    ----------
    values : ndarray, shape (H, W, 6), float32
        Measures, see ``measure_tile``; NaN where unknown.
    tissue : ndarray, shape (H, W), bool

    Returns
    -------
    ndarray, shape (17, H, W), float32
    """
    known = tissue & np.isfinite(values[..., MEAN])
    values = np.where(known[..., np.newaxis], values, np.float32(0))
    mean, floor, red, blue = (values[..., plane] for plane in (MEAN, FLOOR, RED, BLUE))
    green = 3 * mean - red - blue
    logs = [np.log(np.maximum(plane, 0) + np.float32(LEAST_OD)) for plane in (mean, floor, red, green, blue)]
    planes = [log - np.float32(_MIDDLE_LOG_OD) for log in logs]
    energies = np.maximum(np.stack([values[..., FINE], values[..., COARSE]]), 0)
    planes += list(np.log(energies + np.float32(LEAST_ENERGY)) / 2 - np.float32(_MIDDLE_LOG_ENERGY))
    planes += [np.float32(_CONTRAST) * (log - smoothed(log, known, NEIGHBOURHOOD_PX)) for log in logs]
    planes += list(np.float32(_RISE) * _rises((floor, red, green, blue), known))
    planes.append(np.ones(known.shape, np.float32))
    return np.asarray(np.stack(planes) * known, np.float32)


def least_rise(planes: Plane) -> Plane:
    """Return the least rise of floor and channels over the denser of both sides, as a factor, of what is seen."""
    return np.asarray(np.exp(planes[RISES].min(axis=0) / _RISE), np.float32)


def rise_spread(planes: Plane) -> Plane:
    """Return the largest rise of red, green and blue over the smallest, of what is seen."""
    colours = planes[RISES][1:]
    return np.asarray(np.exp((colours.max(axis=0) - colours.min(axis=0)) / _RISE), np.float32)


def _rises(planes: tuple[Plane, ...], known: NDArray[np.bool_]) -> Plane:
    """Return logarithms of the rises of planes in the best direction, float32 (planes, H, W).

    An opening by a line keeps what is longer than the line. Over a band that is narrower it falls to the denser one of
    the two sides; where one side is missing it stays. At the image's border, where a line has no room to lie across a
    band, the side within the image is all there is to compare with.
    """
    edge, sharper, softer = LINE_PX // 2, [], []
    for plane, least in zip(planes, (0.01, 0.02, 0.02, 0.02), strict=True):
        sharper.append(smoothed(plane, known, 0.7) + np.float32(least))
        lower = np.where(known, smoothed(plane, known, 1.5) + np.float32(least), np.float32(_EVERYWHERE))
        softer.append(cv2.copyMakeBorder(lower, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(0.0,)))
    dense = np.maximum(np.stack(sharper), np.float32(0.005))
    best, rises = np.full(known.shape, -np.inf, np.float32), np.zeros(dense.shape, np.float32)
    for line in _lines():
        opened = np.stack([cv2.morphologyEx(lower, cv2.MORPH_OPEN, line)[edge:-edge, edge:-edge] for lower in softer])
        room = opened.min(axis=0) > 0
        rise = np.where(room, np.log(dense / np.maximum(opened, np.float32(0.01))), np.float32(_NO_ROOM))
        least_rise = rise.min(axis=0)
        better = least_rise > best
        best = np.where(better, least_rise, best)
        rises = np.where(better, rise, rises)
    return np.asarray(np.clip(rises, -1, 2), np.float32)


@cache
def _lines() -> tuple[NDArray[np.uint8], ...]:
    """Return lines of one length through the middle of a window, in all directions."""
    radius = LINE_PX // 2
    lines = []
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        line = np.zeros((LINE_PX, LINE_PX), np.uint8)
        dx, dy = round(radius * float(np.cos(angle))), round(radius * float(np.sin(angle)))
        cv2.line(line, (radius - dx, radius - dy), (radius + dx, radius + dy), (1,))
        lines.append(line)
    return tuple(lines)
