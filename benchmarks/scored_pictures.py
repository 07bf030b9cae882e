"""Pictures through ``score`` itself: tissue mask, tiles and their seams, network, post-processing, the file of cells.

The weights load once; every picture is a slide of its own, and its cells are read back from ``cells.parquet``. Only the
overview and the gallery are left out: drawn after the cells are written, they take most of a small picture's time.
"""

# mypy: allow-untyped-calls
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from ihc_quant.batch import derivation
from ihc_quant.batch.cell_store import CELLS_FILE, read_called_tiles
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.pixel_store import load_fragments, load_quality
from ihc_quant.batch.settings import MeasureSettings, QualityMode
from ihc_quant.batch.slide_job import run_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.cell_table import OUTLINE_STEPS_PER_PX, CellTable
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.stain import SectionStain
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule

TILE_PX = 256
"""Core of a tile, in network pixels. Less than ``score``'s own 1024, so that seams run through these small pictures."""

WORKERS = 2


@dataclass(frozen=True, slots=True, eq=False)
class FoundCells:
    """Cells that a machine found in one picture.

    Attributes
    ----------
    places_um : ndarray, shape (n, 2), float64
        x, y in µm from the picture's corner.
    positive : ndarray, shape (n,), bool
        The calls.
    p_positive : ndarray, shape (n,), float64, or None
        Their probabilities, of a machine that states them.
    outlines_um : tuple of ndarray, each (m, 2), float64
        Corners of each nucleus, x, y in µm; empty where they were not kept.
    tissue_mm2 : float
        Area that was analysed.
    """

    places_um: NDArray[np.float64]
    positive: NDArray[np.bool_]
    p_positive: NDArray[np.float64] | None = None
    outlines_um: tuple[NDArray[np.float64], ...] = ()
    tissue_mm2: float = 0.0

    @property
    def percent(self) -> float | None:
        """Positive cells in per cent of all; None without cells."""
        return 100 * float(self.positive.mean()) if len(self.positive) else None

    def labels(self, size_px: tuple[int, int], mpp_um: float) -> NDArray[np.int32]:
        """Return the nuclei drawn on a picture of that width and height: (H, W) int32, numbered from 1."""
        labels = np.zeros((size_px[1], size_px[0]), np.int32)
        for number, outline in enumerate(self.outlines_um, start=1):
            # A pixel belongs to the nucleus whose outline its centre lies in.
            x, y = (outline / mpp_um - 0.5).T
            labels[polygon(y, x, labels.shape)] = number
        return labels


class Scorer:
    """``score`` with weights that are ready to run.

    Parameters
    ----------
    predictor : MapPredictor
        Ready for ``WORKERS`` threads.
    tile_px : int
        Core of a tile, in network pixels.
    quality : str
        Quality control: with ``exclude``, cells that it leaves out count as not found.
    """

    def __init__(self, predictor: MapPredictor, tile_px: int = TILE_PX, quality: QualityMode = "off") -> None:
        self._predictor = predictor
        # Some sets of unknown scale come out a little coarser than ``score`` accepts without being asked to.
        self._measure = MeasureSettings(tile_px=tile_px, allow_coarse=True, quality=quality)
        self._rule = CallRule(p_threshold=predictor.card.thresholds.positive)

    def score(self, path: Path, mpp: Mpp | None = None, marker: str = "other") -> FoundCells:
        """Score one picture or slide at the weights' own thresholds.

        Parameters
        ----------
        path : Path
        mpp : Mpp or None
            µm per pixel; None takes the file's own.
        marker : str
            What it was stained for.

        Raises
        ------
        SlideError
            Where it cannot be scored.
        """
        task = SlideTask(path, SectionStain(marker, "DAB", chromogen_assumed=False), slide_id="picture", mpp=mpp)
        with (
            TemporaryDirectory(prefix="ihc_quant_bench_") as folder,
            patch.object(derivation, "draw_pictures", lambda *_: None),
        ):
            run = run_slide(task, Path(folder), self._predictor, self._measure, self._rule, WORKERS)
            if run.error is not None:
                raise run.error
            assert run.folder is not None
            area_um2 = run.outcome.score.counts.area_um2 if isinstance(run.outcome, Scored) else 0.0
            return self._read_back(run.folder, area_um2 / 1e6)

    def _read_back(self, folder: Path, tissue_mm2: float) -> FoundCells:
        parts = list(read_called_tiles(folder / CELLS_FILE))
        cells = CellTable.concatenate([table for table, _, _ in parts])
        positive = np.concatenate([np.empty(0, np.bool_), *(calls for _, calls, _ in parts)])
        if self._measure.quality == "exclude":
            counted = _counted(folder, cells)
            cells, positive = cells.take(np.flatnonzero(counted)), positive[counted]
        return FoundCells(
            np.column_stack([cells.x_um, cells.y_um]),
            positive,
            cells.p_positive.astype(np.float64),
            outlines_um(cells, self._predictor.card.pixel_um),
            tissue_mm2,
        )


def _counted(folder: Path, cells: CellTable) -> NDArray[np.bool_]:
    """Return which cells quality control lets count, from what the slide's folder keeps."""
    measurement = read_slide_json(folder)[1]
    if measurement.quality is None:
        return np.ones(len(cells), np.bool_)
    quality = load_quality(folder, load_fragments(folder, measurement.overview_grid))
    return ~quality.excluded_at(cells.x_l0, cells.y_l0, measurement.quality.excluded)


def outlines_um(cells: CellTable, pixel_um: float) -> tuple[NDArray[np.float64], ...]:
    """Return the outline of each cell, (m, 2) x, y in µm."""
    offsets = cells.outline_xy * (pixel_um / OUTLINE_STEPS_PER_PX)
    pieces = np.split(offsets, cells.outline_start[1:-1]) if len(cells) else []
    return tuple(
        piece + centre for piece, centre in zip(pieces, np.column_stack([cells.x_um, cells.y_um]), strict=True)
    )
