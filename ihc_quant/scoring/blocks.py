"""Blocks: square pieces of tissue, the units that the bootstrap draws.

Neighbouring cells are not independent, so a resampling of single cells would give intervals that are too narrow. Blocks
are large against the distance over which staining clusters and small against a fragment.
"""

from collections.abc import Sequence
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
    row, col : ndarray, shape (b,), int64, or None
        Places as in ``TissueBlocks``, from which neighbours are known; None where they are not known: blocks are then
        taken as independent.
    level : ndarray, shape (b,), int64, or None
        Which of several sections of one block of tissue each was cut from, from 0; None where all are of one section.
    """

    fragment: NDArray[np.int64]
    grades: NDArray[np.int64]
    area_um2: NDArray[np.float64]
    row: NDArray[np.int64] | None = None
    col: NDArray[np.int64] | None = None
    level: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        b = len(self.fragment)
        if any(place is not None and place.shape != (b,) for place in (self.row, self.col, self.level)):
            raise ValueError("blocks have one row, one column and one level each")
        if self.grades.shape != (b, 4) or self.area_um2.shape != (b,):
            raise ValueError("blocks have one fragment, four counts and one area each")
        if (self.grades < 0).any() or not (self.area_um2 >= 0).all():
            raise ValueError("counts and areas of blocks are not negative")

    def __len__(self) -> int:
        return len(self.fragment)

    def counting(self, chosen: NDArray[np.bool_] | None = None) -> int:
        """Return how many blocks there are, or are chosen (b,); of several levels, of the one that has most.

        Levels show the same patches of tissue again, so the second's blocks do not count beside the first's.
        """
        level = np.zeros(len(self), np.int64) if self.level is None else self.level
        return int(np.bincount(level if chosen is None else level[chosen], minlength=1).max())

    def total(self) -> CellCounts:
        """Return the counts of all blocks together."""
        negative, one, two, three = (int(count) for count in self.grades.sum(axis=0))
        return CellCounts(negative, one, two, three, float(self.area_um2.sum()))


def join_levels(levels: Sequence[BlockCounts]) -> BlockCounts:
    """Return the blocks of several sections of one block of tissue; each section keeps fragments of its own.

    Parameters
    ----------
    levels : sequence of BlockCounts
        At least one, each of one section.

    Examples
    --------
    >>> one = BlockCounts(np.array([1, 2]), np.ones((2, 4), np.int64), np.ones(2))
    >>> joined = join_levels([one, one])
    >>> joined.fragment.tolist(), joined.level.tolist(), len(joined), joined.counting()
    ([1, 2, 4, 5], [0, 0, 1, 1], 4, 2)
    """
    # Numbers of fragments begin at 1 on every section.
    apart = max(int(blocks.fragment.max(initial=0)) for blocks in levels) + 1
    rows = [blocks.row for blocks in levels if blocks.row is not None]
    cols = [blocks.col for blocks in levels if blocks.col is not None]
    placed = len(rows) == len(cols) == len(levels)
    return BlockCounts(
        np.concatenate([blocks.fragment + apart * number for number, blocks in enumerate(levels)]),
        np.concatenate([blocks.grades for blocks in levels]),
        np.concatenate([blocks.area_um2 for blocks in levels]),
        np.concatenate(rows) if placed else None,
        np.concatenate(cols) if placed else None,
        np.concatenate([np.full(len(blocks), number, np.int64) for number, blocks in enumerate(levels)]),
    )


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
    height, width = fragments.shape
    row_of = np.floor((np.arange(height) + 0.5) * pixel_um / block_um).astype(np.int64)
    col_of = np.floor((np.arange(width) + 0.5) * pixel_um / block_um).astype(np.int64)
    y, x = np.nonzero(fragments > 0)
    number = fragments[y, x].astype(np.int64)
    rows, cols = int(row_of[-1]) + 1, int(col_of[-1]) + 1
    pixels = np.bincount((number * rows + row_of[y]) * cols + col_of[x])
    keys = np.flatnonzero(pixels)
    area_um2 = pixels[keys].astype(np.float64) * pixel_um**2
    return TissueBlocks(block_um, keys // cols // rows, keys // cols % rows, keys % cols, area_um2)


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
        Where a cell's fragment has no block, or a cell lies left of or above the slide.
    """
    if len(grade) == 0:
        grades = np.zeros((len(tissue.fragment), 4), np.int64)
        return BlockCounts(tissue.fragment, grades, tissue.area_um2, tissue.row, tissue.col)
    row = np.floor(y_um / tissue.block_um).astype(np.int64)
    col = np.floor(x_um / tissue.block_um).astype(np.int64)
    if row.min() < 0 or col.min() < 0:
        raise ValueError("a cell lies left of or above the slide")
    rows = max(int(row.max()), int(tissue.row.max(initial=0))) + 1
    cols = max(int(col.max()), int(tissue.col.max(initial=0))) + 1
    blocks = (tissue.fragment * rows + tissue.row) * cols + tissue.col
    wanted, of_cell = np.unique((fragment.astype(np.int64) * rows + row) * cols + col, return_inverse=True)
    index_of = {key: index for index, key in enumerate(blocks.tolist())}
    block = np.array(
        [
            index_of[key] if key in index_of else _nearest(tissue, key // cols // rows, key // cols % rows, key % cols)
            for key in wanted.tolist()
        ]
    )
    grades = np.bincount(block[of_cell] * 4 + grade, minlength=4 * len(blocks)).reshape(-1, 4)
    return BlockCounts(tissue.fragment, grades.astype(np.int64), tissue.area_um2, tissue.row, tissue.col)


def _nearest(tissue: TissueBlocks, fragment: int, row: int, col: int) -> int:
    """Return the index of the block of a fragment that is nearest to a place without one."""
    same = np.flatnonzero(tissue.fragment == fragment)
    if len(same) == 0:
        raise ValueError(f"cells lie in fragment {fragment}, which has no tissue")
    away = np.abs(tissue.row[same] - row) + np.abs(tissue.col[same] - col)
    return int(same[np.argmin(away)])
