"""From a section to pigment: every cell and the matter between, as optical densities.

A pixel belongs to the cell whose body it lies in, or nearest to; where two bodies meet the border runs half-way, so
crowded cells form the honeycomb of real lymphoid tissue. Nuclei that lie over one another add their stain, as light
sees them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox
from ihc_quant.synthetic.look import Look
from ihc_quant.synthetic.matter import lay_matter, tile_at, warped_places
from ihc_quant.synthetic.plan import Plan
from ihc_quant.synthetic.population import BASAL, EOSINOPHIL, KINDS
from ihc_quant.synthetic.section import Section
from ihc_quant.synthetic.texture import BLOTCH, CELL, FINE, GRAIN, TEXELS_PER_UM, TILE_PX, noise_tiles

# Columns of the table that the kernels read.
_X, _Y, _COS, _SIN, _NL, _NS, _BL, _BS, _LOBE, _BEND, _H, _VES, _PX, _PY = range(14)
_RING, _BLUSH, _NUCLEAR, _FACE, _COMPLETE, _GRANULES, _MELANIN, _CYTO, _REACH = range(14, 23)
_COLUMNS = 23
_BLEED_UM = 1.1
"""How far chromogen spreads about a stained cell (standard deviation, by eye)."""

_CYTOPLASM = np.array([0.7, 0.9, 0.8, 0.7, 0.6, 1.9, 1.7, 0.6, 1.4], np.float32)
_VESICULAR = np.array([build.vesicular for build in KINDS], np.float32)


@dataclass(frozen=True, slots=True)
class Pigment:
    """Optical density of each pigment, and whose nucleus each pixel shows.

    Attributes
    ----------
    hematoxylin, dab, melanin, eosin : ndarray of float32, (H, W)
        OD along each pigment's vector.
    owner : ndarray of int32, (H, W)
        Row of the section's cell whose nucleus the pixel shows, −1 where none.
    """

    hematoxylin: NDArray[np.float32]
    dab: NDArray[np.float32]
    melanin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    owner: NDArray[np.int32]


@njit(cache=True, nogil=True, fastmath=True)
def _texel(tiles: NDArray[np.float32], scale: int, x_um: float, y_um: float) -> float:
    """Look a place up in a noise tile."""
    column = int(np.floor(x_um * TEXELS_PER_UM)) & (TILE_PX - 1)
    row = int(np.floor(y_um * TEXELS_PER_UM)) & (TILE_PX - 1)
    return float(tiles[scale, row, column])


@njit(cache=True, nogil=True, fastmath=True)
def _beyond(u: float, v: float, long: float, short: float) -> float:
    """Approximate distance beyond an ellipse, negative inside (Taubin's first-order distance)."""
    p, q = u / long, v / short
    rho = np.sqrt(p * p + q * q)
    slope = np.sqrt((p / long) ** 2 + (q / short) ** 2)
    if slope < 1e-4:
        return -short
    return float(rho * (rho - 1.0) / slope)


@njit(cache=True, nogil=True, fastmath=True)
def _stamp(
    table: NDArray[np.float32],
    wx: NDArray[np.float32],
    wy: NDArray[np.float32],
    x0: float,
    y0: float,
    pixel: float,
    tiles: NDArray[np.float32],
    chromatin: float,
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    who: NDArray[np.int32],
    whom: NDArray[np.int32],
    nearest: NDArray[np.float32],
    owner: NDArray[np.int32],
    hema: NDArray[np.float32],
    covered: NDArray[np.float32],
) -> None:
    """Find the two nearest cell bodies of every pixel, and lay down the nuclei."""
    height, width = first.shape
    for i in range(table.shape[0]):
        c = table[i]
        reach = c[_REACH]
        left = max(0, int((c[_X] - reach - x0) / pixel))
        right = min(width, int((c[_X] + reach - x0) / pixel) + 1)
        top = max(0, int((c[_Y] - reach - y0) / pixel))
        bottom = min(height, int((c[_Y] + reach - y0) / pixel) + 1)
        for row in range(top, bottom):
            for column in range(left, right):
                dx, dy = wx[row, column] - c[_X], wy[row, column] - c[_Y]
                u = dx * c[_COS] + dy * c[_SIN]
                v = dy * c[_COS] - dx * c[_SIN]
                v -= c[_BEND] * u * u
                body = _beyond(max(0.0, abs(u) - c[_LOBE]), v, c[_BL], c[_BS])
                if body < first[row, column]:
                    second[row, column] = first[row, column]
                    whom[row, column] = who[row, column]
                    first[row, column] = body
                    who[row, column] = i
                elif body < second[row, column]:
                    second[row, column] = body
                    whom[row, column] = i
                if c[_NL] <= 0.0:
                    continue
                depth = _beyond(abs(u) - c[_LOBE] if c[_LOBE] > 0 else u, v, c[_NL], c[_NS])
                if depth < nearest[row, column]:
                    nearest[row, column] = depth
                    if depth < 0:
                        owner[row, column] = i
                if depth < 0.5:
                    edge = min(1.0, max(0.0, 0.5 - depth * 1.6))
                    tx, ty = dx + c[_PX], dy + c[_PY]
                    grain = _texel(tiles, GRAIN, tx, ty) + 0.6 * _texel(tiles, FINE, tx, ty)
                    clump = _texel(tiles, BLOTCH, tx, ty)
                    rim = np.exp(-(((depth + 0.45) / 0.4) ** 2))
                    inner = 1.0 - 0.5 * c[_VES] + chromatin * (grain * (0.6 + 0.5 * c[_VES]) + 0.7 * clump)
                    level = inner + (0.15 + 0.55 * c[_VES]) * rim
                    hema[row, column] += c[_H] * edge * max(0.15, level)
                    covered[row, column] = min(1.0, covered[row, column] + edge)


@njit(cache=True, nogil=True, fastmath=True)
def _membrane(
    c: NDArray[np.float32], distance: float, width: float, tiles: NDArray[np.float32], x: float, y: float
) -> float:
    """OD of a cell's membrane at a distance from its line, patchy along it."""
    if c[_RING] <= 0.0 or distance > 2.2 * width:
        return 0.0
    patch = _texel(tiles, BLOTCH, x + c[_PX], y + c[_PY]) * 0.6 + _texel(tiles, CELL, x + c[_PY], y + c[_PX])
    present = min(1.0, max(0.06, 0.5 + 1.1 * (patch * 0.8 + c[_COMPLETE])))
    return float(c[_RING] * present * np.exp(-((distance / width) ** 2)))


@njit(cache=True, nogil=True, fastmath=True)
def _stain(
    table: NDArray[np.float32],
    wx: NDArray[np.float32],
    wy: NDArray[np.float32],
    tiles: NDArray[np.float32],
    ring_um: float,
    granular: float,
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    who: NDArray[np.int32],
    whom: NDArray[np.int32],
    nearest: NDArray[np.float32],
    owner: NDArray[np.int32],
    dab: NDArray[np.float32],
    melanin: NDArray[np.float32],
    eosin: NDArray[np.float32],
    cytoplasm: NDArray[np.float32],
) -> None:
    """Lay down what the bodies carry: membrane, cytoplasm, nucleus, granules, melanin."""
    height, width = first.shape
    for row in range(height):
        for column in range(width):
            i = who[row, column]
            if i < 0:
                continue
            c = table[i]
            x, y = wx[row, column], wy[row, column]
            e1, e2 = first[row, column], second[row, column]
            line = min(-e1, 0.5 * (e2 - e1)) if e1 < 0 else e1
            amount = _membrane(c, abs(line), ring_um, tiles, x, y)
            j = whom[row, column]
            if j >= 0 and e2 < 2.0:
                amount += _membrane(
                    table[j],
                    abs(e2) if e1 >= 0 else max(abs(e2), 0.5 * (e2 - e1)) if e2 > 0 else 0.5 * (e2 - e1),
                    ring_um,
                    tiles,
                    x,
                    y,
                )
            grain = _texel(tiles, FINE, x + 71.0, y + 13.0) * 0.6 + _texel(tiles, GRAIN, x + c[_PX], y + c[_PY])
            if e1 < 0.3:
                soft = min(1.0, max(0.0, 0.6 - 1.3 * e1))
                inside = min(1.0, max(0.0, 0.5 - 1.6 * nearest[row, column])) if owner[row, column] == i else 0.0
                cloud = max(0.1, 1.0 + 0.35 * _texel(tiles, BLOTCH, x + c[_PY], y + c[_PX]))
                amount += soft * cloud * (c[_BLUSH] * (1.0 - 0.55 * inside) + c[_FACE] + c[_NUCLEAR] * inside)
                seam = np.exp(-((line / 0.4) ** 2)) if c[_CYTO] > 1.0 else 0.0
                cytoplasm[row, column] = soft * c[_CYTO] * (1.0 - inside) * (1.0 - 0.7 * seam)
                if c[_GRANULES] > 0:
                    eosin[row, column] += soft * (1.0 - inside) * c[_GRANULES] * max(0.0, 1.0 + 0.6 * grain)
                if c[_MELANIN] > 0:
                    cap = 0.6 * tile_at(tiles, BLOTCH, x + c[_PX], y + c[_PX]) + 0.4 * tile_at(
                        tiles, CELL, x, y + c[_PY]
                    )
                    dots = tile_at(tiles, GRAIN, x + 31.0, y + 7.0) + 0.5 * grain
                    crowd = min(1.2, max(0.0, 0.35 + 0.55 * cap)) * (1.0 - 0.6 * inside)
                    melanin[row, column] += soft * c[_MELANIN] * crowd * min(1.6, max(0.12, 0.5 + 0.55 * dots))
            dab[row, column] += amount * max(0.15, 1.0 + granular * grain)


def _table(section: Section, strength: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """Gather what the kernels need of each cell."""
    cells = section.cells
    table = np.zeros((cells.size, _COLUMNS), np.float32)
    rim, scale = cells.rim_um, section.body_scale
    table[:, _X], table[:, _Y] = cells.x_um, cells.y_um
    table[:, _COS], table[:, _SIN] = np.cos(cells.angle), np.sin(cells.angle)
    table[:, _NL], table[:, _NS] = cells.long_um * section.nucleus_scale, cells.short_um * section.nucleus_scale
    table[section.nucleus_scale < 0.25, _NL] = 0
    table[:, _BL], table[:, _BS] = (cells.long_um + rim) * scale, (cells.short_um + rim) * scale
    table[:, _LOBE], table[:, _BEND] = cells.lobe_um, np.where(cells.lobe_um > 0, 0, cells.bend)
    table[:, _H] = look.hematoxylin_od * cells.stain * (0.35 + 0.65 * np.minimum(1, section.filling))
    table[:, _VES] = _VESICULAR[cells.kind]
    table[:, _PX : _PX + 2] = cells.phase
    # A body that is cut near its pole shows its membrane face on, as an even brown disc.
    face = 1 - section.body_scale**2
    amount = look.dab_od * strength
    spread = cells.phase[:, 0] / 256
    table[:, _RING] = amount * look.ring * (1 - 0.5 * face)
    table[:, _BLUSH] = amount * look.blush * (0.5 + spread)
    table[:, _FACE] = amount * look.ring * (0.1 + 0.45 * face) * (strength > 0)
    table[:, _NUCLEAR] = amount * look.nuclear
    table[:, _COMPLETE] = 2.2 * (look.completeness - 0.5) + 0.9 * (cells.phase[:, 1] / 256 - 0.5)
    table[:, _GRANULES] = np.where(cells.kind == EOSINOPHIL, look.eosin_od * (0.5 + spread), 0)
    table[:, _MELANIN] = np.where(cells.kind == BASAL, look.melanin_od * np.clip(2.2 * spread - 0.3, 0, 1.5), 0)
    table[:, _CYTO] = _CYTOPLASM[cells.kind]
    table[:, _REACH] = table[:, _BL] + cells.lobe_um + 1.2 + 3.5 * look.warp_um
    return table


def lay_pigment(
    section: Section,
    plan: Plan,
    strength: NDArray[np.float32],
    look: Look,
    box: GridBox,
    pixel_um: float,
    *,
    noise_origin_um: tuple[float, float] = (0.0, 0.0),
) -> Pigment:
    """Lay down the pigments of one part of a section.

    Parameters
    ----------
    section : Section
    plan : Plan
    strength : ndarray of float32, (n,)
        How strongly each of the section's cells stains, 0 where it carries no marker.
    look : Look
    box : GridBox
        The part, in pixels of ``pixel_um``.
    pixel_um : float
    noise_origin_um : (float, float)
        Where the section's own corner lies in the noise tiles.

    Returns
    -------
    Pigment
        Without blur; what a pixel shows does not depend on the box it is painted in.
    """
    tiles = noise_tiles()
    x0, y0 = box.x0 * pixel_um, box.y0 * pixel_um
    xs = ((np.arange(box.x0, box.x1) + 0.5) * pixel_um).astype(np.float32)
    ys = ((np.arange(box.y0, box.y1) + 0.5) * pixel_um).astype(np.float32)
    wx, wy = (np.empty((len(ys), len(xs)), np.float32) for _ in range(2))
    warped_places(tiles, xs, ys, noise_origin_um, look.warp_um, wx, wy)
    table = _table(section, strength, look)
    cells = section.cells
    near = (
        (cells.x_um + table[:, _REACH] > x0)
        & (cells.x_um - table[:, _REACH] < box.x1 * pixel_um)
        & (cells.y_um + table[:, _REACH] > y0)
        & (cells.y_um - table[:, _REACH] < box.y1 * pixel_um)
    )
    rows = np.flatnonzero(near).astype(np.int32)
    table = np.ascontiguousarray(table[rows])
    shape = wx.shape
    first, second, nearest = (np.full(shape, 50, np.float32) for _ in range(3))
    who, whom, owner = (np.full(shape, -1, np.int32) for _ in range(3))
    hema, dab, melanin, eosin, covered, cytoplasm = (np.zeros(shape, np.float32) for _ in range(6))
    _stamp(
        table, wx, wy, x0, y0, pixel_um, tiles, look.chromatin, first, second, who, whom, nearest, owner, hema, covered
    )
    _stain(
        table,
        wx,
        wy,
        tiles,
        look.ring_um,
        look.granular,
        first,
        second,
        who,
        whom,
        nearest,
        owner,
        dab,
        melanin,
        eosin,
        cytoplasm,
    )
    if look.bleed > 0:
        dab += np.float32(look.bleed) * cv2.GaussianBlur(dab, (0, 0), _BLEED_UM / pixel_um)
    lay_matter(tiles, plan, look, xs, ys, noise_origin_um, covered, cytoplasm, hema, dab, eosin)
    dab += eosin * np.float32(look.eosin_brown)
    eosin *= np.float32(1 - look.eosin_brown)
    return Pigment(hema, dab, melanin, eosin, np.where(owner >= 0, np.append(rows, -1)[owner], -1).astype(np.int32))
