"""What lies between the cells: ground substance, collagen, horn, and the ragged lines in which they end."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.synthetic.look import Look
from ihc_quant.synthetic.plan import Plan
from ihc_quant.synthetic.texture import BLOTCH, CELL, FIELD, FINE, GRAIN, PATCH, TEXELS_PER_UM, TILE_PX


@njit(cache=True, nogil=True, fastmath=True)
def tile_at(tiles: NDArray[np.float32], scale: int, x_um: float, y_um: float) -> float:
    """Look a place up in a noise tile, bilinearly."""
    column, row = x_um * TEXELS_PER_UM, y_um * TEXELS_PER_UM
    left, top = np.floor(column), np.floor(row)
    across, down = np.float32(column - left), np.float32(row - top)
    c0, r0 = int(left) & (TILE_PX - 1), int(top) & (TILE_PX - 1)
    c1, r1 = (c0 + 1) & (TILE_PX - 1), (r0 + 1) & (TILE_PX - 1)
    upper = tiles[scale, r0, c0] * (1 - across) + tiles[scale, r0, c1] * across
    lower = tiles[scale, r1, c0] * (1 - across) + tiles[scale, r1, c1] * across
    return float(upper * (1 - down) + lower * down)


@njit(cache=True, nogil=True, fastmath=True)
def warped_places(
    tiles: NDArray[np.float32],
    xs: NDArray[np.float32],
    ys: NDArray[np.float32],
    origin: tuple[float, float],
    warp_um: float,
    wx: NDArray[np.float32],
    wy: NDArray[np.float32],
) -> None:
    """Write where each pixel looks for cells: its place in µm, moved by smooth noise so that outlines are irregular."""
    for row in range(len(ys)):
        for column in range(len(xs)):
            x, y = xs[column] + origin[0], ys[row] + origin[1]
            across = 0.4 * tile_at(tiles, BLOTCH, x, y) + 1.3 * tile_at(tiles, CELL, x + 33.0, y + 5.0)
            down = 0.4 * tile_at(tiles, BLOTCH, x + 77.0, y + 131.0) + 1.3 * tile_at(tiles, CELL, x + 160.0, y + 90.0)
            wx[row, column] = xs[column] + warp_um * across
            wy[row, column] = ys[row] + warp_um * down


@njit(cache=True, nogil=True, fastmath=True)
def _between(raster: NDArray[np.float32], layer: int, row: int, column: int, across: float, down: float) -> float:
    """Read a raster between four of its pixels, bilinearly."""
    upper = raster[layer, row, column] * (1 - across) + raster[layer, row, column + 1] * across
    lower = raster[layer, row + 1, column] * (1 - across) + raster[layer, row + 1, column + 1] * across
    return float(upper * (1 - down) + lower * down)


@njit(cache=True, nogil=True, fastmath=True)
def _lay(
    tiles: NDArray[np.float32],
    xs: NDArray[np.float32],
    ys: NDArray[np.float32],
    origin: tuple[float, float],
    matter: NDArray[np.float32],
    plan_pixel_um: float,
    blue: float,
    brown: float,
    fibrous: float,
    covered: NDArray[np.float32],
    cytoplasm: NDArray[np.float32],
    hema: NDArray[np.float32],
    dab: NDArray[np.float32],
    eosin: NDArray[np.float32],
) -> None:
    """Add what the matter of each pixel absorbs."""
    last_row, last_column = matter.shape[1] - 1, matter.shape[2] - 1
    for row in range(len(ys)):
        for column in range(len(xs)):
            x, y = xs[column] + origin[0], ys[row] + origin[1]
            px = (xs[column] + 1.6 * tile_at(tiles, CELL, x, y)) / plan_pixel_um - 0.5
            py = (ys[row] + 1.6 * tile_at(tiles, CELL, x + 50.0, y + 90.0)) / plan_pixel_um - 0.5
            px, py = min(max(px, 0.0), last_column - 1e-3), min(max(py, 0.0), last_row - 1e-3)
            c, r = int(px), int(py)
            fx, fy = px - c, py - r
            ground = _between(matter, 0, r, c, fx, fy)
            collagen = _between(matter, 1, r, c, fx, fy)
            horn = _between(matter, 2, r, c, fx, fy)
            if ground + collagen + horn < 0.005 and cytoplasm[row, column] <= 0:
                continue
            patchy = tile_at(tiles, PATCH, x, y)
            fine = 0.5 * tile_at(tiles, FINE, x, y) + 0.7 * tile_at(tiles, GRAIN, x + 9.0, y + 3.0)
            cloud = min(1.3, max(0.1, 0.75 + 0.22 * tile_at(tiles, CELL, x + 20.0, y)))
            body = max(ground * cloud, cytoplasm[row, column])
            haze = body * max(0.0, 1 + 0.4 * fine + 0.35 * patchy + 0.25 * tile_at(tiles, BLOTCH, x, y + 41.0))
            bundle = fibre = wave = along = 0.0
            if collagen > 0.02 or horn > 0.02:
                wave = _between(matter, 4, r, c, fx, fy) + origin[1]
                wave += 5 * tile_at(tiles, PATCH, x * 0.8, y * 0.8) + 14 * tile_at(
                    tiles, FIELD, x * 0.5 + 60.0, y * 0.5
                )
                along = _between(matter, 3, r, c, fx, fy) + origin[0] + 8 * tile_at(tiles, PATCH, x + 30.0, y * 0.7)
                bundle = tile_at(tiles, BLOTCH, along * 0.10, wave * 0.42)
                fibre = 0.5 * tile_at(tiles, BLOTCH, along * 0.16, wave * 1.2)
                fibre += 0.6 * tile_at(tiles, GRAIN, along * 0.12, wave * 0.7)
                fibre += 0.5 * tile_at(tiles, FINE, along * 0.08, wave * 0.5) + 0.3 * fine
                collagen *= min(1.0, max(0.0, 0.7 + 0.7 * bundle + 0.3 * patchy))
            strands = collagen * max(0.0, 0.75 + 0.42 * fibre)
            open_ = 1 - 0.6 * covered[row, column]
            hema[row, column] += open_ * blue * (haze + 0.9 * strands)
            dab[row, column] += brown * haze + fibrous * strands
            eosin[row, column] += open_ * (0.012 * haze + 0.016 * strands)
            if horn > 0.02:
                lamella = tile_at(tiles, BLOTCH, along * 0.12, wave * 0.9) + 0.5 * tile_at(
                    tiles, GRAIN, along * 0.2, wave
                )
                sheet = horn * min(1.5, max(0.0, 0.45 + 0.6 * lamella + 0.15 * fine))
                eosin[row, column] += 0.04 * sheet
                hema[row, column] += 0.5 * blue * sheet
                dab[row, column] += (0.035 + 0.7 * brown) * sheet


def lay_matter(
    tiles: NDArray[np.float32],
    plan: Plan,
    look: Look,
    xs: NDArray[np.float32],
    ys: NDArray[np.float32],
    origin: tuple[float, float],
    covered: NDArray[np.float32],
    cytoplasm: NDArray[np.float32],
    hema: NDArray[np.float32],
    dab: NDArray[np.float32],
    eosin: NDArray[np.float32],
) -> None:
    """Add the matter between the cells to pigments that hold the cells already.

    Parameters
    ----------
    tiles : ndarray of float32, (6, 1024, 1024)
    plan : Plan
    look : Look
    xs, ys : ndarray of float32, (W,) and (H,)
        Places of the pixels' centres, µm.
    origin : (float, float)
        Where the section's corner lies in the noise tiles, µm.
    covered, cytoplasm : ndarray of float32, (H, W)
        Share of each pixel that nuclei cover, and that cytoplasm fills, 0 to 1.
    hema, dab, eosin : ndarray of float32, (H, W)
        Optical densities; added to in place.
    """
    matter = np.stack([plan.ground, plan.collagen, plan.horn, plan.along, plan.across])
    _lay(
        tiles, xs, ys, origin, matter, plan.pixel_um, look.blue_haze_od, look.haze_od, look.collagen_od,
        covered, cytoplasm, hema, dab, eosin,
    )  # fmt: skip
