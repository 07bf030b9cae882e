"""Measurements of each cell: size, place, stain in nucleus, ring and cell, completeness of the membrane.

Percentiles are exact: the 90th percentile is the smallest value that at least nine tenths of the pixels do not exceed,
found by selection among the cell's own pixels, without bins and without interpolation.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.cells.ranks import p90, p90_of_both

SECTORS = 16
"""Sectors of the ring in which the membrane is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Shape of the nuclei of a tile; one entry a label, label 1 first.

    Attributes
    ----------
    area_px : ndarray, shape (n,), int64
        Pixels.
    sum_row, sum_col : ndarray, shape (n,), int64
        Sums of the rows and columns of these pixels within the tile. Directions from the centroid are computed from
        them in whole numbers, so that a pixel exactly between two sectors falls into the same one in every tile.
    centroid_y, centroid_x : ndarray, shape (n,), float64
        Mean place of the pixels' centres in grid pixels.
    top, bottom, left, right : ndarray, shape (n,), int32
        First and last row and column, within the tile, both included.
    start_col : ndarray, shape (n,), int32
        Leftmost pixel of the first row.
    """

    area_px: NDArray[np.int64]
    sum_row: NDArray[np.int64]
    sum_col: NDArray[np.int64]
    centroid_y: NDArray[np.float64]
    centroid_x: NDArray[np.float64]
    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    start_col: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Stain:
    """Stain of chosen cells; one entry a cell, float32.

    Attributes
    ----------
    od_nucleus, od_ring, od_cell : ndarray, shape (n,)
        Mean chromogen density; a ring without pixels takes the figures of the cell.
    od_nucleus_p90, od_ring_p90, od_cell_p90 : ndarray, shape (n,)
        90th percentiles.
    membrane_completeness : ndarray, shape (n,)
        Share of the 16 sectors whose mean density over the membrane band reaches the cut; a sector without pixels
        does not reach it.
    p_positive : ndarray, shape (n,)
        Mean positivity over the nucleus near the peak.
    """

    od_nucleus: NDArray[np.float32]
    od_ring: NDArray[np.float32]
    od_cell: NDArray[np.float32]
    od_nucleus_p90: NDArray[np.float32]
    od_ring_p90: NDArray[np.float32]
    od_cell_p90: NDArray[np.float32]
    membrane_completeness: NDArray[np.float32]
    p_positive: NDArray[np.float32]


def measure_nuclei(territory: NDArray[np.int32], n: int, origin_y: int, origin_x: int) -> Nuclei:
    """Measure the shape of the nuclei 1 to ``n``.

    Parameters
    ----------
    territory : ndarray, shape (H, W), int32
        Positive labels inside nuclei; each of 1 to ``n`` occurs.
    n : int
        Number of nuclei.
    origin_y, origin_x : int
        Grid pixel of the tile's first pixel.
    """
    return Nuclei(*_shapes(territory, n, origin_y, origin_x))


def measure_stain(
    territory: NDArray[np.int32],
    density: NDArray[np.float32],
    positivity: NDArray[np.float32],
    nuclei: Nuclei,
    owned: NDArray[np.int32],
    peak_y: NDArray[np.float64],
    peak_x: NDArray[np.float64],
    *,
    ring_px: float,
    inside_px: float,
    membrane_cut_od: float,
    positivity_radius_px: float,
) -> Stain:
    """Measure the stain of the cells whose labels are ``owned``.

    Parameters
    ----------
    territory : ndarray, shape (H, W), int32
        Labels inside nuclei, negative labels in rings, 0 elsewhere.
    density : ndarray, shape (H, W), float32
        Chromogen density, OD (log10).
    positivity : ndarray, shape (H, W), float32
        The network's positivity map, 0 to 1.
    nuclei : Nuclei
        Of all labels.
    owned : ndarray, shape (n,), int32
        Labels to measure.
    peak_y, peak_x : ndarray, shape (n,), float64
        Peaks of these cells, in pixels of the tile, pixel centres at +0.5.
    ring_px : float
        Width of the rings in ``territory``.
    inside_px : float
        How far the membrane band reaches into the nucleus, in pixels from the first pixel outside it.
    membrane_cut_od : float
        Least mean density of a stained sector.
    positivity_radius_px : float
        Pixels of the nucleus within this distance of the peak carry ``p_positive``.
    """
    reach = int(inside_px)
    away = np.arange(-reach, reach + 1)
    dy, dx = (offsets.ravel() for offsets in np.meshgrid(away, away, indexing="ij"))
    square = dy * dy + dx * dx
    near = np.argsort(square, kind="stable")[1 : np.count_nonzero(square <= inside_px * inside_px)]
    pad = int(ring_px) + 1
    figures = _stain(
        territory,
        np.ascontiguousarray(density, np.float32),
        np.ascontiguousarray(positivity, np.float32),
        owned,
        nuclei.top,
        nuclei.bottom,
        nuclei.left,
        nuclei.right,
        nuclei.area_px,
        nuclei.sum_row,
        nuclei.sum_col,
        peak_y,
        peak_x,
        pad,
        dy[near],
        dx[near],
        membrane_cut_od,
        positivity_radius_px,
    )
    return Stain(*figures)


@njit(nogil=True, cache=True)
def _shapes(  # type: ignore[no-untyped-def]
    territory: NDArray[np.int32], n: int, origin_y: int, origin_x: int
):
    """Return area, centroid, bounding box and first pixel of each label."""
    height, width = territory.shape
    area = np.zeros(n, np.int64)
    sum_row, sum_col = np.zeros(n, np.int64), np.zeros(n, np.int64)
    top, bottom = np.full(n, height, np.int32), np.full(n, -1, np.int32)
    left, right = np.full(n, width, np.int32), np.full(n, -1, np.int32)
    start_col = np.zeros(n, np.int32)
    for y in range(height):
        for x in range(width):
            label = territory[y, x]
            if label <= 0:
                continue
            i = label - 1
            if area[i] == 0:
                top[i] = y
                start_col[i] = x
            area[i] += 1
            sum_row[i] += y
            sum_col[i] += x
            bottom[i] = y
            left[i] = min(left[i], x)
            right[i] = max(right[i], x)
    # Whole numbers up to the one division, so that every tile gives the same last digit.
    centroid_y = (sum_row + area * origin_y) / area + 0.5
    centroid_x = (sum_col + area * origin_x) / area + 0.5
    return area, sum_row, sum_col, centroid_y, centroid_x, top, bottom, left, right, start_col


@njit(nogil=True, cache=True)
def _stain(  # type: ignore[no-untyped-def]
    territory: NDArray[np.int32],
    density: NDArray[np.float32],
    positivity: NDArray[np.float32],
    owned: NDArray[np.int32],
    top: NDArray[np.int32],
    bottom: NDArray[np.int32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    area_px: NDArray[np.int64],
    sum_row: NDArray[np.int64],
    sum_col: NDArray[np.int64],
    peak_y: NDArray[np.float64],
    peak_x: NDArray[np.float64],
    pad: int,
    inside_dy: NDArray[np.int64],
    inside_dx: NDArray[np.int64],
    membrane_cut_od: float,
    positivity_radius_px: float,
):
    """Return the columns of ``Stain`` in order; one pass over the box of each cell."""
    height, width = territory.shape
    n = len(owned)
    mean_nucleus, mean_ring, mean_cell = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    p90_nucleus, p90_ring, p90_cell = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    completeness, p_positive = np.empty(n, np.float32), np.empty(n, np.float32)
    sector_sum, sector_n = np.empty(SECTORS), np.empty(SECTORS, np.int64)
    of_nucleus, of_ring = np.empty(1024, np.float32), np.empty(1024, np.float32)
    square = positivity_radius_px * positivity_radius_px
    reach = inside_dy.max() if len(inside_dy) else 0
    for k in range(n):
        label = owned[k]
        i = label - 1
        y0, y1 = max(top[i] - pad, 0), min(bottom[i] + pad + 1, height)
        x0, x1 = max(left[i] - pad, 0), min(right[i] + pad + 1, width)
        if (y1 - y0) * (x1 - x0) > len(of_nucleus):
            of_nucleus = np.empty(2 * (y1 - y0) * (x1 - x0), np.float32)
            of_ring = np.empty(2 * (y1 - y0) * (x1 - x0), np.float32)
        inner = top[i] >= reach and bottom[i] < height - reach and left[i] >= reach and right[i] < width - reach
        in_nucleus, in_ring, near_peak = 0, 0, 0
        sum_nucleus, sum_ring, sum_positivity = 0.0, 0.0, 0.0
        sector_sum[:] = 0
        sector_n[:] = 0
        for y in range(y0, y1):
            for x in range(x0, x1):
                here = territory[y, x]
                if here == label:
                    value = density[y, x]
                    of_nucleus[in_nucleus] = value
                    in_nucleus += 1
                    sum_nucleus += value
                    dy, dx = y + 0.5 - peak_y[k], x + 0.5 - peak_x[k]
                    if dy * dy + dx * dx <= square:
                        sum_positivity += positivity[y, x]
                        near_peak += 1
                    if inner:
                        if not _near_border_inside(territory, y, x, label, inside_dy, inside_dx):
                            continue
                    elif not _near_border(territory, y, x, label, inside_dy, inside_dx):
                        continue
                elif here == -label:
                    value = density[y, x]
                    of_ring[in_ring] = value
                    in_ring += 1
                    sum_ring += value
                else:
                    continue
                sector = _sector(y * area_px[i] - sum_row[i], x * area_px[i] - sum_col[i])
                sector_sum[sector] += value
                sector_n[sector] += 1
        mean_nucleus[k] = sum_nucleus / in_nucleus
        mean_cell[k] = (sum_nucleus + sum_ring) / (in_nucleus + in_ring)
        mean_ring[k] = sum_ring / in_ring if in_ring else mean_cell[k]
        p90_nucleus[k] = p90(of_nucleus, in_nucleus)
        p90_ring[k] = p90(of_ring, in_ring) if in_ring else p90_nucleus[k]
        p90_cell[k] = p90_of_both(of_nucleus, in_nucleus, p90_nucleus[k], of_ring, in_ring, p90_ring[k])
        stained = 0
        for sector in range(SECTORS):
            stained += sector_n[sector] > 0 and sector_sum[sector] >= membrane_cut_od * sector_n[sector]
        completeness[k] = stained / SECTORS
        peak_row, peak_col = min(int(peak_y[k]), height - 1), min(int(peak_x[k]), width - 1)
        p_positive[k] = sum_positivity / near_peak if near_peak else positivity[peak_row, peak_col]
    return mean_nucleus, mean_ring, mean_cell, p90_nucleus, p90_ring, p90_cell, completeness, p_positive


@njit(nogil=True, cache=True)
def _near_border_inside(
    territory: NDArray[np.int32], y: int, x: int, label: int, dy: NDArray[np.int64], dx: NDArray[np.int64]
) -> bool:
    """As ``_near_border``, of a pixel from which no offset leads out of the territory."""
    for k in range(len(dy)):  # noqa: SIM110 - numba compiles no generator
        if territory[np.uint64(y + dy[k]), np.uint64(x + dx[k])] != label:
            return True
    return False


@njit(nogil=True, cache=True)
def _near_border(
    territory: NDArray[np.int32], y: int, x: int, label: int, dy: NDArray[np.int64], dx: NDArray[np.int64]
) -> bool:
    """Whether a pixel of a nucleus has one outside the nucleus at one of the offsets."""
    height, width = territory.shape
    for k in range(len(dy)):
        ny, nx = y + dy[k], x + dx[k]
        if np.uint64(ny) < np.uint64(height) and np.uint64(nx) < np.uint64(width) and territory[ny, nx] != label:
            return True
    return False


@njit(nogil=True, cache=True)
def _sector(dy: int, dx: int) -> int:
    """Return which of 16 sectors of 22.5° a direction falls into, counted clockwise on the page from +x."""
    ay, ax = abs(dy), abs(dx)
    # tan 22.5° = 0.41421, tan 67.5° = 2.41421
    step = (ay >= 0.41421356237309503 * ax) + (ay >= ax) + (ay >= 2.414213562373095 * ax)
    if dx >= 0:
        return step if dy >= 0 else 15 - step
    return 7 - step if dy >= 0 else 8 + step
