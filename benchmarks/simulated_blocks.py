"""Simulated sections as blocks of tissue, smaller sections as corners of larger ones, and how often something held."""

from collections.abc import Sequence

import numpy as np
from point_patterns import PIXEL_UM, Section

from ihc_quant.scoring.blocks import BLOCK_UM, BlockCounts, TissueBlocks, count_blocks, cut_blocks

GRIDS = ((2, 2), (1, 5), (2, 3), (2, 4), (2, 5), (3, 5), (4, 5), (5, 6), (5, 10), (10, 10))
"""Rows and columns of blocks of the sections."""

SIDE_BLOCKS = 10
"""Blocks along either side of the largest section."""


def tissue_of_all() -> TissueBlocks:
    """Return the blocks of a section that is tissue from edge to edge."""
    side = round(SIDE_BLOCKS * BLOCK_UM / PIXEL_UM)
    return cut_blocks(np.ones((side, side), np.int16), PIXEL_UM)


def blocks_of(section: Section, tissue: TissueBlocks) -> BlockCounts:
    """Count the cells of a section in blocks."""
    fragment = np.ones(len(section.x_um), np.int16)
    return count_blocks(section.x_um, section.y_um, fragment, section.grade, tissue)


def corner(blocks: BlockCounts, rows: int, cols: int) -> BlockCounts:
    """Return the first rows and columns of blocks, a smaller section."""
    if blocks.row is None or blocks.col is None:
        raise ValueError("blocks without places have no corner")
    kept = (blocks.row < rows) & (blocks.col < cols)
    return BlockCounts(
        blocks.fragment[kept], blocks.grades[kept], blocks.area_um2[kept], blocks.row[kept], blocks.col[kept]
    )


def percent_held(held: Sequence[bool | None]) -> float | None:
    """Return in how many percent an interval that there was held the truth."""
    told = [answer for answer in held if answer is not None]
    return round(100 * sum(told) / len(told), 1) if told else None
