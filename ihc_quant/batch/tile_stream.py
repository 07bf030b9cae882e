"""Tiles through reading, network and post-processing, overlapped and in bounded memory.

Each worker carries one tile through all three steps. While one worker reads, another computes, so the steps overlap
without queues between them, a tile's arrays stay in the cache of one core, and no more tiles are in memory than there
are workers and a few finished cell tables. The steps release the interpreter lock.
"""

import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.cells.find import CellSettings, FragmentAt, find_cells
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.stain import StainMatrix
from ihc_quant.domain.tile import Tile, TileImage, TilePlan
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_continued
from ihc_quant.tissue.fold_planes import fold_planes
from ihc_quant.tissue.tile_measures import measure_tile

TILES_AHEAD = 2
"""Tiles that may wait for each worker, so that none stands idle while results are written."""


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Seconds that a tile, or a slide, spent in each step, summed over the workers."""

    reading: float = 0.0
    network: float = 0.0
    cells: float = 0.0
    quality: float = 0.0

    def __add__(self, other: "StepSeconds") -> "StepSeconds":
        return StepSeconds(
            self.reading + other.reading,
            self.network + other.network,
            self.cells + other.cells,
            self.quality + other.quality,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """The cells of one tile, what quality control measures on it, and what both cost.

    ``measures`` is float32 (h, w, 6) over the box that was read, as ``measure_tile`` returns it, None where quality
    control is off; ``planes`` is uint8, as ``fold_planes`` returns it, None where no network tells folds.
    """

    tile: Tile
    cells: CellTable
    seconds: StepSeconds
    measures: NDArray[np.float32] | None = None
    planes: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TileWork:
    """All that is the same for every tile of a slide."""

    reader: SlideReader
    predictor: MapPredictor
    stains: StainMatrix
    fragment_at: FragmentAt
    plan: TilePlan
    settings: CellSettings
    control_quality: bool = field(default=False, kw_only=True)
    folds_by_network: bool = field(default=False, kw_only=True)

    def run(self, tile: Tile) -> TileResult:
        """Read one tile, run the network on it and find its cells."""
        started = time.perf_counter()
        image = TileImage(tile, read_continued(self.reader, self.plan.grid, tile.read))
        read = time.perf_counter()
        maps = self.predictor.predict(image.rgb)
        predicted = time.perf_counter()
        cells = find_cells(maps, image, self.stains, self.plan.grid, self._fragment_at, self.settings)
        found = time.perf_counter()
        measures = measure_tile(image.rgb, self.stains.white) if self.control_quality else None
        planes = fold_planes(image.rgb, self.stains.white) if self.folds_by_network else None
        seconds = StepSeconds(read - started, predicted - read, found - predicted, time.perf_counter() - found)
        return TileResult(tile, cells, seconds, measures, planes)

    def _fragment_at(self, x_l0: NDArray[np.float64], y_l0: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return the fragment at each place; 0 beyond the slide, where tissue is only mirrored."""
        size = self.reader.info.size
        inside = (x_l0 >= 0) & (y_l0 >= 0) & (x_l0 < size.width) & (y_l0 < size.height)
        return np.where(inside, self.fragment_at(x_l0, y_l0), np.int16(0))


def stream_tiles(work: TileWork, workers: int) -> Generator[TileResult, None, None]:
    """Yield the results of all tiles in the order of the plan.

    To be closed where it is not exhausted, or workers go on reading while the slide is closed.

    Parameters
    ----------
    work : TileWork
        The slide's tiles and what to do with them.
    workers : int
        Tiles that are worked on at once.

    Raises
    ------
    SlideError
        From reading; tiles already under way are finished and dropped.
    """
    # OpenCV would start threads of its own beside the workers.
    cv2.setNumThreads(1)
    waiting: deque[Future[TileResult]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool:
        try:
            for tile in work.plan.tiles:
                waiting.append(pool.submit(work.run, tile))
                if len(waiting) > workers * TILES_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
