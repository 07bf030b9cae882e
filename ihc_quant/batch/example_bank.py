"""Example cells whose pixels are kept: enough of every kind that a gallery can be drawn at any threshold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ihc_quant.batch.cell_store import CELLS_FILE, read_columns
from ihc_quant.batch.pixel_store import save_crops
from ihc_quant.domain.geometry import Grid
from ihc_quant.report.gallery import example_box
from ihc_quant.scoring.calls import QUPATH_CUTS_OD
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_grid

PROBABILITY_STEPS = 10
"""Cells are drawn from each tenth of ``p_positive`` and each grade of optical density by QuPath's cuts, so that rare
kinds are there."""
PER_KIND = 8
"""Cells of each kind."""

Eligible = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.int16]], NDArray[np.bool_]]
"""From places in level-0 pixels and tissue fragments to whether each cell may be an example."""


def choose_bank(p_positive: NDArray[np.float32], od_cell: NDArray[np.float32], seed: int = 0) -> NDArray[np.int64]:
    """Return the rows of the cells to keep, ascending: up to ``PER_KIND`` of each kind, drawn at random.

    Parameters
    ----------
    p_positive, od_cell : ndarray, shape (n,), float32
    seed : int
        The same cells each time.
    """
    kind = np.minimum((p_positive * PROBABILITY_STEPS).astype(np.int64), PROBABILITY_STEPS - 1)
    kind = kind * (len(QUPATH_CUTS_OD) + 1) + np.searchsorted(QUPATH_CUTS_OD, od_cell, side="right")
    order = draw_order(len(kind), seed)
    order = order[np.argsort(kind[order], kind="stable")]
    starts = np.searchsorted(kind[order], kind[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < PER_KIND]).astype(np.int64)


def draw_order(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the rows of ``count`` cells in the order in which they are drawn."""
    return np.random.default_rng(seed).permutation(count)


def first_drawn(
    kept: NDArray[np.int64], count: int, grade: NDArray[np.int8], per_grade: int = PER_KIND
) -> NDArray[np.int64]:
    """Return which kept cells would be there had cells been drawn without regard to their kind.

    The cells of a grade that were drawn first were the first of their kinds too, so they are among the kept ones, save
    where the threshold goes through a kind.

    Parameters
    ----------
    kept : ndarray, shape (k,), int64
        From ``choose_bank``.
    count : int
        Cells in all.
    grade : ndarray, shape (k,), int8
        Of the kept cells.
    per_grade : int
        At most so many cells of each grade, up to ``PER_KIND``.

    Returns
    -------
    ndarray, shape (m,), int64
        Ascending positions in ``kept``.
    """
    rank = np.empty(count, np.int64)
    rank[draw_order(count)] = np.arange(count)
    order = np.argsort(rank[kept])
    return np.sort(np.concatenate([order[grade[order] == number][:per_grade] for number in range(4)]))


def cut_examples(folder: Path, reader: SlideReader, grid: Grid, eligible: Eligible) -> tuple[int, ...]:
    """Choose example cells of a measured slide, keep their pixels and return their rows in the cell table.

    Parameters
    ----------
    folder : Path
        Holds the cell table.
    reader : SlideReader
    grid : Grid
        Of the network.
    eligible : callable
        Tells which cells may be examples: those that are analysed.

    Raises
    ------
    RegionUnreadable
        Where the slide cannot be read any more.
    """
    columns = read_columns(folder / CELLS_FILE, ["x_um", "y_um", "x_l0", "y_l0", "p_positive", "od_cell", "fragment"])
    among = np.flatnonzero(eligible(columns["x_l0"], columns["y_l0"], columns["fragment"]))
    rows = among[choose_bank(columns["p_positive"][among], columns["od_cell"][among])]
    boxes = [example_box(columns["x_um"][row], columns["y_um"][row], grid.pixel_um) for row in rows]
    side = example_box(0.0, 0.0, grid.pixel_um).width
    crops = [np.empty((0, side, side, 3), np.uint8), *(read_grid(reader, grid, box)[None] for box in boxes)]
    save_crops(folder, np.concatenate(crops))
    return tuple(int(row) for row in rows)
