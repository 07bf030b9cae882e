"""Pixels of a grid: the exact area average of the nearest finer level.

A grid pixel is the mean of the level's pixels under its footprint, each weighted by the area that it shares with it.
The footprint's edges are products of the grid pixel's own index, so a pixel never depends on the box with which it was
read, and nothing drifts over a slide. Halves are rounded up.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox
from ihc_quant.domain.slide import Level, SlideInfo
from ihc_quant.slide.reader import SlideReader

COARSER_TOLERANCE = 0.002
"""A level up to 0.2 % coarser than the grid still counts as fine enough: scanners state 0.2501 where 0.25 is meant."""

WHOLE_FACTOR_DRIFT_PX = 0.01
"""A factor is taken as whole where that moves no place on the slide by more than this many level pixels."""

MAX_READ_PX = 1 << 24
"""Level pixels that are held at once (48 MB of RGB); a larger box is read in bands."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a grid is taken from a slide: the level, and its pixels in one grid pixel along x and y."""

    level: Level
    step_x: float
    step_y: float


def choose_sampling(info: SlideInfo, grid: Grid) -> Sampling:
    """Return the coarsest level that is at least as fine as the grid along both axes; level 0 where none is."""
    chosen = info.levels[0]
    for level in info.levels[1:]:
        fine_x = level.downsample_x <= grid.scale_x * (1 + COARSER_TOLERANCE)
        fine_y = level.downsample_y <= grid.scale_y * (1 + COARSER_TOLERANCE)
        if fine_x and fine_y and level.downsample_x * level.downsample_y > chosen.downsample_x * chosen.downsample_y:
            chosen = level
    return Sampling(
        chosen,
        _whole_where_harmless(grid.scale_x / chosen.downsample_x, chosen.size.width),
        _whole_where_harmless(grid.scale_y / chosen.downsample_y, chosen.size.height),
    )


def read_grid(reader: SlideReader, grid: Grid, box: GridBox) -> NDArray[np.uint8]:
    """Return the pixels of a box of the grid.

    Parameters
    ----------
    reader : SlideReader
        The open slide.
    grid : Grid
        Its ``mpp`` is the slide's.
    box : GridBox
        In grid pixels; may reach beyond the slide, where pixels are white.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        sRGB, 0 to 255.

    Raises
    ------
    RegionUnreadable
        Where pixels cannot be decoded.
    """
    sampling = choose_sampling(reader.info, grid)
    rgb = np.empty((box.height, box.width, 3), np.uint8)
    if box.width == 0 or box.height == 0:
        return rgb
    across = box.width * sampling.step_x + 2
    rows = max(1, min(box.height, int((MAX_READ_PX / across - 2) / sampling.step_y)))
    for top in range(0, box.height, rows):
        band = GridBox(box.x0, box.y0 + top, box.x1, min(box.y0 + top + rows, box.y1))
        _read_band(reader, sampling, band, rgb[top : top + band.height])
    return rgb


def read_continued(reader: SlideReader, grid: Grid, box: GridBox) -> NDArray[np.uint8]:
    """Return the pixels of a box of the grid; beyond the slide its mirror image.

    A slide, and more so a picture, may end within tissue. White would look like an edge of the tissue there, and half
    a nucleus like a small one.

    Parameters
    ----------
    reader : SlideReader
        The open slide.
    grid : Grid
        Its ``mpp`` is the slide's.
    box : GridBox
        In grid pixels; touches the slide.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        sRGB, 0 to 255.

    Raises
    ------
    RegionUnreadable
        Where pixels cannot be decoded.
    """
    # A last pixel that the slide covers in part would be paler than tissue, and so would its mirror image.
    width = max(1, math.floor(reader.info.size.width / grid.scale_x + 1e-6))
    height = max(1, math.floor(reader.info.size.height / grid.scale_y + 1e-6))
    within = GridBox(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))
    if within.width <= 0 or within.height <= 0:
        return read_grid(reader, grid, box)
    rgb = read_grid(reader, grid, within)
    if within == box:
        return rgb
    above, below = within.y0 - box.y0, box.y1 - within.y1
    left, right = within.x0 - box.x0, box.x1 - within.x1
    return np.asarray(cv2.copyMakeBorder(rgb, above, below, left, right, cv2.BORDER_REFLECT_101), np.uint8)


def _read_band(reader: SlideReader, sampling: Sampling, box: GridBox, rgb: NDArray[np.uint8]) -> None:
    """Fill ``rgb`` (H, W, 3) with the pixels of a box of the grid."""
    step_x, step_y = sampling.step_x, sampling.step_y
    footprint = GridBox(
        math.floor(box.x0 * step_x),
        math.floor(box.y0 * step_y),
        math.ceil(box.x1 * step_x),
        math.ceil(box.y1 * step_y),
    )
    level_rgb = np.ascontiguousarray(reader.read(sampling.level.index, footprint))
    if step_x == 1 and step_y == 1:
        rgb[...] = level_rgb
    elif step_x == 2 and step_y == 2:
        _average_two(level_rgb, rgb)
    elif step_x == int(step_x) and step_y == int(step_y):
        _average_whole(level_rgb, int(step_x), int(step_y), rgb)
    else:
        columns, column_weights = _taps(box.x0, box.x1, step_x, footprint.x0)
        lines, line_weights = _taps(box.y0, box.y1, step_y, footprint.y0)
        _average_area(level_rgb, columns, column_weights, lines, line_weights, rgb)


def _whole_where_harmless(step: float, level_px: int) -> float:
    """Return the nearest whole number where ``step`` differs from it by nothing that shows over the slide."""
    whole = float(max(1, round(step)))
    return whole if abs(step - whole) / whole * level_px <= WHOLE_FACTOR_DRIFT_PX else step


def _taps(first: int, last: int, step: float, origin: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return, for the grid pixels ``first`` to ``last``, the level pixels under each and their shares.

    Returns
    -------
    start : ndarray, shape (n,), intp
        First level pixel of each, counted from ``origin``.
    weights : ndarray, shape (n, taps), float32
        Share of each level pixel in the mean; rows sum to 1, surplus taps are 0.
    """
    index = np.arange(first, last, dtype=np.float64)
    low, high = index * step, (index + 1) * step
    start = np.floor(low)
    taps = math.ceil(step) + 1
    pixel = start[:, None] + np.arange(taps)
    overlap = np.minimum(high[:, None], pixel + 1) - np.maximum(low[:, None], pixel)
    overlap = np.clip(overlap, 0, None)
    weights = overlap / overlap.sum(axis=1, keepdims=True)
    return start.astype(np.intp) - origin, weights.astype(np.float32)


@njit(nogil=True, cache=True)
def _average_two(level: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
    """Average 2 × 2 pixels: what ``_average_whole`` gives, twice as fast."""
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            for c in range(3):
                total = np.uint32(level[2 * y, 2 * x, c]) + np.uint32(level[2 * y, 2 * x + 1, c])
                total += np.uint32(level[2 * y + 1, 2 * x, c]) + np.uint32(level[2 * y + 1, 2 * x + 1, c])
                rgb[y, x, c] = (total + np.uint32(2)) >> np.uint32(2)


@njit(nogil=True, cache=True)
def _average_whole(level: NDArray[np.uint8], step_x: int, step_y: int, rgb: NDArray[np.uint8]) -> None:
    height, width = rgb.shape[0], rgb.shape[1]
    area = np.uint32(step_x * step_y)
    half = np.uint32(step_x * step_y // 2)
    row_bytes = width * step_x * 3
    sums = np.empty(row_bytes, np.uint32)
    for y in range(height):
        source = level[y * step_y].reshape(-1)
        for i in range(row_bytes):
            sums[i] = source[i]
        for k in range(1, step_y):
            source = level[y * step_y + k].reshape(-1)
            for i in range(row_bytes):
                sums[i] += source[i]
        for x in range(width):
            red = half
            green = half
            blue = half
            at = x * step_x * 3
            for k in range(step_x):
                red += sums[at + 3 * k]
                green += sums[at + 3 * k + 1]
                blue += sums[at + 3 * k + 2]
            rgb[y, x, 0] = red // area
            rgb[y, x, 1] = green // area
            rgb[y, x, 2] = blue // area


@njit(nogil=True, cache=True)
def _average_area(
    level: NDArray[np.uint8],
    columns: NDArray[np.intp],
    column_weights: NDArray[np.float32],
    lines: NDArray[np.intp],
    line_weights: NDArray[np.float32],
    rgb: NDArray[np.uint8],
) -> None:
    height, width = rgb.shape[0], rgb.shape[1]
    level_height, level_width = level.shape[0], level.shape[1]
    sums = np.empty(level_width * 3, np.float32)
    for y in range(height):
        sums[:] = np.float32(0)
        for k in range(line_weights.shape[1]):
            weight = line_weights[y, k]
            if weight > 0 and lines[y] + k < level_height:
                source = level[lines[y] + k].reshape(-1)
                for i in range(level_width * 3):
                    sums[i] += weight * np.float32(source[i])
        for x in range(width):
            red = np.float32(0.5)
            green = np.float32(0.5)
            blue = np.float32(0.5)
            for k in range(column_weights.shape[1]):
                weight = column_weights[x, k]
                if weight > 0 and columns[x] + k < level_width:
                    at = (columns[x] + k) * 3
                    red += weight * sums[at]
                    green += weight * sums[at + 1]
                    blue += weight * sums[at + 2]
            rgb[y, x, 0] = np.uint8(min(red, np.float32(255)))
            rgb[y, x, 1] = np.uint8(min(green, np.float32(255)))
            rgb[y, x, 2] = np.uint8(min(blue, np.float32(255)))
