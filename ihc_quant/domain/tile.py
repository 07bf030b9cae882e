"""Tiles: which pixels are read together, and who owns which place.

The cores of a plan partition the grid into half-open boxes, so every place has exactly one owner. The read box is the
core and a margin, from which the network takes context and from which nothing is kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a plan, in grid pixels.

    Attributes
    ----------
    index : int
        Position in the plan; also the value of the cell table's ``tile`` column.
    core : GridBox
        The part whose cells this tile owns.
    read : GridBox
        Core and margin; may reach beyond the slide, where its mirror image is seen.
    """

    index: int
    core: GridBox
    read: GridBox


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The tiles of a slide, made before any pixel is read. All read boxes have the same size."""

    grid: Grid
    tile_px: int
    margin_px: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TileImage:
    """The pixels of one tile.

    Attributes
    ----------
    tile : Tile
        Where they lie.
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB at the grid's pixel size; places outside the slide mirror it, and places that were not scanned are white
        (255), never black: black is maximal optical density.
    """

    tile: Tile
    rgb: NDArray[np.uint8]

    def __post_init__(self) -> None:
        expected = (self.tile.read.height, self.tile.read.width, 3)
        if self.rgb.shape != expected or self.rgb.dtype != np.uint8:
            raise ValueError(f"a tile image is uint8 {expected}, got {self.rgb.dtype} {self.rgb.shape}")
