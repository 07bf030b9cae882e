"""Blocks: square pieces of tissue, the units that the bootstrap draws.

Neighbouring cells are not independent, so a resampling of single cells would give intervals that are too narrow. Blocks
are large against the distance over which staining clusters and small against a fragment.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import CellCounts

BLOCK_UM = 250.0
"""Side of a block, µm. A lymphoid follicle or a perivascular infiltrate is 100 to 500 µm wide; a punch of 10 mm² still
gives 160 blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueBlocks:
    """The tissue of a slide cut into blocks; one row a block of one fragment, ordered by fragment, row and column.

    Attributes
    ----------
    block_um : float
        Side, µm; block (row, col) covers [col, col + 1) × [row, row + 1) of that size in the level-0 plane.
    fragment : ndarray, shape (b,), int64
        Tissue fragment, from 1.
    row, col : ndarray, shape (b,), int64
    area_um2 : ndarray, shape (b,), float64
        Tissue of that fragment in the block.
    """

    block_um: float
    fragment: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    area_um2: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BlockCounts:
    """Cells of each grade and tissue area of each block; all that the bootstrap needs.

    Attributes
    ----------
    fragment : ndarray, shape (b,), int64
        Blocks are resampled within fragments.
    grades : ndarray, shape (b, 4), int64
        Cells that are negative, 1+, 2+, 3+.
    area_um2 : ndarray, shape (b,), float64
    """

    fragment: NDArray[np.int64]
    grades: NDArray[np.int64]
    area_um2: NDArray[np.float64]

    def __post_init__(self) -> None:
        b = len(self.fragment)
        if self.grades.shape != (b, 4) or self.area_um2.shape != (b,):
            raise ValueError("blocks have one fragment, four counts and one area each")
        if (self.grades < 0).any() or not (self.area_um2 >= 0).all():
            raise ValueError("counts and areas of blocks are not negative")

    def __len__(self) -> int:
        return len(self.fragment)

    def total(self) -> CellCounts:
        """Return the counts of all blocks together."""
        negative, one, two, three = (int(count) for count in self.grades.sum(axis=0))
        return CellCounts(negative, one, two, three, float(self.area_um2.sum()))


def cut_blocks(fragments: NDArray[np.int16], pixel_um: float, block_um: float = BLOCK_UM) -> TissueBlocks:
    """Cut the tissue into blocks.

    Parameters
    ----------
    fragments : ndarray, shape (H, W), int16
        Number of the fragment at each pixel of a grid that starts at the corner of the level-0 plane; 0 is no tissue.
    pixel_um : float
        Side of these pixels, µm; at most ``block_um``.
    block_um : float
        Side of a block, µm. A pixel belongs to the block that holds its centre.

    Raises
    ------
    ValueError
        Where the pixels are larger than the blocks.
    """
    if not 0 < pixel_um <= block_um:
        raise ValueError(f"blocks of {block_um} µm cannot be cut from pixels of {pixel_um} µm")
    y, x = np.nonzero(fragments > 0)
    number = fragments[y, x].astype(np.int64)
    row = np.floor((y + 0.5) * pixel_um / block_um).astype(np.int64)
    col = np.floor((x + 0.5) * pixel_um / block_um).astype(np.int64)
    keys, pixels = np.unique(np.stack([number, row, col]), axis=1, return_counts=True)
    return TissueBlocks(block_um, keys[0], keys[1], keys[2], pixels.astype(np.float64) * pixel_um**2)


def count_blocks(
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    fragment: NDArray[np.int16],
    grade: NDArray[np.int8],
    tissue: TissueBlocks,
) -> BlockCounts:
    """Count the cells of each block.

    Parameters
    ----------
    x_um, y_um : ndarray, shape (n,), float64
        Places of the cells, µm in the level-0 plane.
    fragment : ndarray, shape (n,), int16
        Fragment of each cell.
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3.
    tissue : TissueBlocks
        The blocks; those without cells count too.

    Returns
    -------
    BlockCounts
        Every cell is counted once. A cell beside the last pixel of its fragment's mask may fall into a block where the
        fragment has no area: it counts in the nearest block of its fragment.

    Raises
    ------
    ValueError
        Where a cell's fragment has no block.
    """
    keys = np.stack([tissue.fragment, tissue.row, tissue.col], axis=1)
    wanted = np.stack(
        [
            fragment.astype(np.int64),
            np.floor(y_um / tissue.block_um).astype(np.int64),
            np.floor(x_um / tissue.block_um).astype(np.int64),
        ],
        axis=1,
    )
    of_place = {tuple(key): index for index, key in enumerate(keys.tolist())}
    places, place_of_cell = np.unique(wanted, axis=0, return_inverse=True)
    block_of_place = np.array([_nearest(tuple(place), of_place, keys) for place in places.tolist()], np.int64)
    grades = np.zeros((len(keys), 4), np.int64)
    if len(grade):
        np.add.at(grades, (block_of_place[place_of_cell.ravel()], grade.astype(np.int64)), 1)
    return BlockCounts(tissue.fragment, grades, tissue.area_um2)


def _nearest(place: tuple[int, ...], of_place: dict[tuple[int, ...], int], keys: NDArray[np.int64]) -> int:
    """Return the index of the block at a place, or of the nearest block of the same fragment."""
    if place in of_place:
        return of_place[place]
    same = np.flatnonzero(keys[:, 0] == place[0])
    if len(same) == 0:
        raise ValueError(f"cells lie in fragment {place[0]}, which has no tissue")
    away = np.abs(keys[same, 1:] - np.array(place[1:])).sum(axis=1)
    return int(same[np.argmin(away)])
