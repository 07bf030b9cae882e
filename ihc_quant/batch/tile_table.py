"""The tile table: which tiles were read, how much tissue lies in each, and how many cells of each grade."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ihc_quant.batch.arrow_columns import to_column
from ihc_quant.batch.cell_store import read_columns
from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.outputs import write_whole
from ihc_quant.batch.pixel_store import unreadable
from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.tissue.map import TissueMap

TILES_FILE = "tiles.parquet"

TILE_COUNTS: tuple[str, ...] = ("negative", "one_plus", "two_plus", "three_plus")
"""Derived columns of the tile table: all cells that were measured, also those that are not analysed."""


def tile_table(plan: TilePlan, tissue: TissueMap) -> pa.Table:
    """Return the tile table of a plan: index, core in level-0 pixels, tissue in the core; counts are added later."""
    tiles = sorted(plan.tiles, key=lambda tile: tile.index)
    cores = [plan.grid.to_l0(tile.core) for tile in tiles]
    columns: dict[str, NDArray[Any]] = {
        "tile": np.array([tile.index for tile in tiles], np.int32),
        "x0_px": np.array([tile.core.x0 for tile in tiles], np.int32),
        "y0_px": np.array([tile.core.y0 for tile in tiles], np.int32),
        "x0_l0": np.array([core.x0 for core in cores], np.float64),
        "y0_l0": np.array([core.y0 for core in cores], np.float64),
        "x1_l0": np.array([core.x1 for core in cores], np.float64),
        "y1_l0": np.array([core.y1 for core in cores], np.float64),
        "tissue_um2": np.array([tissue.area_in(core) for core in cores], np.float64),
    }
    return pa.table({name: to_column(values) for name, values in columns.items()})


def write_table(path: Path, table: pa.Table) -> None:
    """Write a small table whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_plan(folder: Path, measurement: Measurement) -> TilePlan:
    """Return the tiles that were used.

    Raises
    ------
    OutputError
        Where the tile table cannot be read back.
    """
    columns = read_columns(folder / TILES_FILE, ["tile", "x0_px", "y0_px"])
    side, tiles = measurement.tile_px, []
    for index, x0, y0 in zip(columns["tile"], columns["x0_px"], columns["y0_px"], strict=True):
        core = GridBox(int(x0), int(y0), int(x0) + side, int(y0) + side)
        tiles.append(Tile(int(index), core, core.grown(measurement.margin_px)))
    return TilePlan(measurement.network_grid, side, measurement.margin_px, tuple(tiles))


def unread_tiles(plan: TilePlan, size_l0: Size) -> tuple[Tile, ...]:
    """Return the tiles of the lattice that were not read, because no tissue was found in them; numbered from 0."""
    extent, side = plan.grid.extent(size_l0), plan.tile_px
    read = {(tile.core.x0, tile.core.y0) for tile in plan.tiles}
    corners = [(x, y) for y in range(0, extent.height, side) for x in range(0, extent.width, side)]
    cores = [GridBox(x, y, x + side, y + side) for x, y in corners if (x, y) not in read]
    return tuple(Tile(index, core, core.grown(plan.margin_px)) for index, core in enumerate(cores))


def count_tiles(folder: Path, tile: NDArray[np.int32], grade: NDArray[np.int8]) -> None:
    """Write the counts of each tile into the tile table."""
    path = folder / TILES_FILE
    columns = read_columns(path, ["tile", "x0_px", "y0_px", "x0_l0", "y0_l0", "x1_l0", "y1_l0", "tissue_um2"])
    position = np.searchsorted(columns["tile"], tile)
    if not np.isin(tile, columns["tile"]).all():
        raise unreadable(path)
    counts = np.zeros((len(columns["tile"]), len(TILE_COUNTS)), np.int32)
    np.add.at(counts, (position, grade.astype(np.int64)), 1)
    columns |= {name: counts[:, number] for number, name in enumerate(TILE_COUNTS)}
    write_table(path, pa.table({name: to_column(values) for name, values in columns.items()}))
