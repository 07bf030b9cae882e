"""Which tiles are read: made from the tissue map before any pixel is."""

from typing import Literal, get_args

from ihc_quant.domain.geometry import Box, Grid, GridBox, Size
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.tissue.map import TissueMap

TileOrder = Literal["rows", "columns", "reversed"]
"""In which order the tiles are worked on; it never changes a tile's index or a result."""

ALIGNMENT_PX = 16
"""Tiles and margins are multiples of this, the network's coarsest step, so that results do not depend on the tiling."""

SMALL_TILE_STEP_PX = 64
"""The single tile of a slide smaller than a tile is rounded up to a multiple of this."""

CELL_RADIUS_UM = 10.0
"""A core this close to tissue is kept: the nucleus of a lymphocyte at the edge may have its centre outside the mask."""


def plan_tiles(
    tissue: TissueMap,
    grid: Grid,
    size_l0: Size,
    tile_px: int = 1024,
    margin_px: int = 32,
    order: TileOrder = "rows",
) -> TilePlan:
    """Return the tiles whose core touches tissue.

    Cores lie on the lattice of multiples of ``tile_px`` from the grid's origin, so each place has one owner at most,
    and each place of tissue, with ``CELL_RADIUS_UM`` around it, exactly one. Cores and read boxes at the right and
    lower border may reach past the slide, where its mirror image is seen. A slide smaller than a tile gets one smaller
    tile.

    Parameters
    ----------
    tissue : TissueMap
        Tissue of the slide, on any grid.
    grid : Grid
        Grid of the network, in whose pixels the tiles are.
    size_l0 : Size
        Size of the slide in level-0 pixels.
    tile_px : int
        Edge of a core in grid pixels.
    margin_px : int
        Margin on each side in grid pixels; read boxes have an edge of ``tile_px + 2 * margin_px``.
    order : {"rows", "columns", "reversed"}
        Order of the tiles in the plan. A tile's index counts row by row whatever the order.

    Returns
    -------
    TilePlan
        Without tiles where there is no tissue; its ``tile_px`` is the edge of the cores.

    Raises
    ------
    ValueError
        Where ``tile_px`` or ``margin_px`` is not a multiple of ``ALIGNMENT_PX``, or the order is unknown.
    """
    if tile_px <= 0 or tile_px % ALIGNMENT_PX or margin_px < 0 or margin_px % ALIGNMENT_PX:
        raise ValueError(f"tile and margin are multiples of {ALIGNMENT_PX} px, got {tile_px} and {margin_px}")
    if order not in get_args(TileOrder):
        raise ValueError(f"unknown tile order {order!r}; one of {', '.join(get_args(TileOrder))}")
    extent = grid.extent(size_l0)
    smallest = -(-max(extent.width, extent.height) // SMALL_TILE_STEP_PX) * SMALL_TILE_STEP_PX
    edge = min(tile_px, smallest)
    cores = [
        GridBox(x, y, x + edge, y + edge) for y in range(0, extent.height, edge) for x in range(0, extent.width, edge)
    ]
    touched = [core for core in cores if tissue.area_in(_around(grid, core)) > 0]
    tiles = [Tile(index, core, core.grown(margin_px)) for index, core in enumerate(touched)]
    if order == "columns":
        tiles.sort(key=lambda tile: (tile.core.x0, tile.core.y0))
    elif order == "reversed":
        tiles.reverse()
    return TilePlan(grid, edge, margin_px, tuple(tiles))


def _around(grid: Grid, core: GridBox) -> Box:
    """Return the core in the level-0 plane with a cell's radius around it."""
    box, x, y = grid.to_l0(core), CELL_RADIUS_UM / grid.mpp.x, CELL_RADIUS_UM / grid.mpp.y
    return Box(box.x0 - x, box.y0 - y, box.x1 + x, box.y1 + y)
