"""Example cells whose pixels are kept: enough that a gallery can be drawn at any threshold, of any drawn region.

Which cells are kept does not depend on what people drew, so that a region drawn later finds its examples without the
slide. Those outside of what is analysed are kept and not shown.
"""

from concurrent.futures import ThreadPoolExecutor
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

MOST_PLACES = 64
"""The slide is cut into squares, at most so many of them with cells: a punch of 30 mm² into squares of 0.7 mm."""
FINEST_PLACE_UM = 250.0
"""Side of the smallest squares."""
PER_PLACE = 2
"""Cells of each square and of each call by the usual thresholds of weights and of QuPath: at most 512 a slide."""


def choose_bank(
    p_positive: NDArray[np.float32],
    od_cell: NDArray[np.float32],
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return the rows of the cells to keep, ascending, drawn at random.

    They are up to ``PER_KIND`` of each kind of the slide, and up to ``PER_PLACE`` of each call in each place.

    Parameters
    ----------
    p_positive, od_cell : ndarray, shape (n,), float32
    x_um, y_um : ndarray, shape (n,), float64
        Centroids.
    seed : int
        The same cells each time.
    """
    tenth = np.minimum((p_positive * PROBABILITY_STEPS).astype(np.int64), PROBABILITY_STEPS - 1)
    grade = np.searchsorted(QUPATH_CUTS_OD, od_cell, side="right")
    kind = tenth * (len(QUPATH_CUTS_OD) + 1) + grade
    call = np.where(2 * tenth < PROBABILITY_STEPS, 0, np.maximum(grade, 1))
    place = squares_of(x_um, y_um) * (len(QUPATH_CUTS_OD) + 1) + call
    order = draw_order(len(kind), seed)
    return np.union1d(_first_of_each(kind, order, PER_KIND), _first_of_each(place, order, PER_PLACE))


def squares_of(x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of the square of each cell, int64 (n,), from 0: at most ``MOST_PLACES`` of one size."""
    side_um = FINEST_PLACE_UM
    while True:
        row, column = np.floor(y_um / side_um).astype(np.int64), np.floor(x_um / side_um).astype(np.int64)
        # Centroids lie on the slide or a cell's width beside it.
        found, number = np.unique((row << 32) + column, return_inverse=True)
        if len(found) <= MOST_PLACES:
            return np.asarray(number, np.int64)
        side_um *= np.sqrt(2)


def _first_of_each(group: NDArray[np.int64], order: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the rows of each group that come first in an order, up to ``count`` of each."""
    order = order[np.argsort(group[order], kind="stable")]
    starts = np.searchsorted(group[order], group[order], side="left")
    return order[np.arange(len(order)) - starts < count]


def draw_order(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the rows of ``count`` cells in the order in which they are drawn."""
    return np.random.default_rng(seed).permutation(count)


def first_drawn(
    kept: NDArray[np.int64], count: int, grade: NDArray[np.int8], per_grade: int = PER_KIND
) -> NDArray[np.int64]:
    """Return which kept cells would be there had cells been drawn without regard to their kind.

    Of a whole slide, the cells of a grade that were drawn first were the first of their kinds too, so they are among
    the kept ones, save where the threshold goes through a kind. Of a region they are the first among those kept there.

    Parameters
    ----------
    kept : ndarray, shape (k,), int64
        From ``choose_bank``, or some of them.
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


def cut_examples(folder: Path, reader: SlideReader, grid: Grid, workers: int) -> tuple[int, ...]:
    """Choose example cells of a measured slide, keep their pixels and return their rows in the cell table.

    Parameters
    ----------
    folder : Path
        Holds the cell table.
    reader : SlideReader
    grid : Grid
        Of the network.
    workers : int
        Crops read at once.

    Raises
    ------
    RegionUnreadable
        Where the slide cannot be read any more.
    """
    columns = read_columns(folder / CELLS_FILE, ["x_um", "y_um", "p_positive", "od_cell"])
    rows = choose_bank(columns["p_positive"], columns["od_cell"], columns["x_um"], columns["y_um"])
    boxes = [example_box(columns["x_um"][row], columns["y_um"][row], grid.pixel_um) for row in rows]
    side = example_box(0.0, 0.0, grid.pixel_um).width
    with ThreadPoolExecutor(workers, thread_name_prefix="crop") as pool:
        read = list(pool.map(lambda box: read_grid(reader, grid, box), boxes))
    save_crops(folder, np.stack(read) if read else np.empty((0, side, side, 3), np.uint8))
    return tuple(int(row) for row in rows)
