"""How far a fraction is known where all cells have the same call: no draw of blocks differs, but blocks still bound it.

Without a positive cell a fraction is bounded from above by how likely it was to see none. Cells are not independent,
so "none of 5,000 cells" is not what the rule of three makes of it. Blocks are taken as the units: were all cells of a
block called alike, a fraction p would leave n independent blocks without a positive cell with a chance of (1 − p)ⁿ,
and with less wherever calls differ within blocks. That is the exact binomial limit (Clopper and Pearson 1934,
10.1093/biomet/26.4.404) with an effective sample size in the place of the sample size, as surveys have it (Korn and
Graubard 1998, Survey Methodology 24:193). Blocks that hold more cells than others count for more, and n is Kish's
effective number, (Σ m)² / Σ m² of the cells m of each block (Kish 1965, Survey Sampling, section 11.7). Levels of one
block of tissue are taken as wholly alike, so √Σ m² is summed over them before it is squared.

``docs/coverage.md`` tables how often that is wrong, also for patches twice as wide as a block that are all or nothing.
"""

import numpy as np

from ihc_quant.scoring.blocks import BlockCounts


def effective_number(blocks: BlockCounts) -> float:
    """Return as how many blocks of equally many cells these count; at least 1.

    Parameters
    ----------
    blocks : BlockCounts
        With a cell at least.

    Examples
    --------
    Two blocks of 100 cells, and four of 10: 240² / (2 · 10,000 + 4 · 100).

    >>> grades = np.array(2 * [[100, 0, 0, 0]] + 4 * [[10, 0, 0, 0]])
    >>> round(effective_number(BlockCounts(np.ones(6, np.int64), grades, np.ones(6))), 2)
    2.82
    """
    cells = blocks.grades.sum(axis=1).astype(np.float64)
    if blocks.level is None:
        return float(cells.sum() ** 2 / np.sum(cells**2))
    return float(cells.sum() ** 2 / np.sqrt(np.bincount(blocks.level, cells**2)).sum() ** 2)


def unseen_limit(blocks: BlockCounts, level: float = 0.95) -> float:
    """Return the largest fraction of cells of a call that none of the cells in these blocks has.

    Examples
    --------
    Of 36 equal blocks none has a positive cell: 1 − 0.025^(1/36).

    >>> grades = np.tile([100, 0, 0, 0], (36, 1))
    >>> round(unseen_limit(BlockCounts(np.ones(36, np.int64), grades, np.ones(36))), 4)
    0.0974
    """
    return float(1 - ((1 - level) / 2) ** (1 / effective_number(blocks)))
