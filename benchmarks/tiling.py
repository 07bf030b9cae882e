"""The same answer whatever the tiling: tiled passes against one untiled pass over the same real pixels.

Tile sizes, tile orders, numbers of workers and margins are tried. Bars: cells matched within 1 µm at F1 ≥ 0.995, those
within 10 µm of a seam at F1 ≥ 0.99, counts within 0.5 %, percentages within 0.2 points. They are judged for the worst
pass at the margin that ``score`` uses; for each tile size the cheapest margin that would do is named as well.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from material import NODE_MPP, node_slide
from numpy.typing import NDArray
from scoring_runs import usual_predictor
from tables import Bar, show

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_overview import find_slide_tissue
from ihc_quant.batch.tile_stream import TileWork, stream_tiles
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid
from ihc_quant.evaluation.matching import detect
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule, call_cells
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.reader import SlideReader
from ihc_quant.stain.estimate import estimate_white_point, reference_stains
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.plan import TileOrder, plan_tiles

TILES_PX = (512, 1024, 2048)
MARGINS_PX = (32, 48, 64)
ORDERS: tuple[TileOrder, ...] = ("columns", "reversed")
MATCH_UM = 1.0
SEAM_UM = 10.0
F1_LIMIT, SEAM_F1_LIMIT, COUNT_LIMIT_PERCENT, POINTS_LIMIT = 0.995, 0.99, 0.5, 0.2


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a pass is cut."""

    tile_px: int
    margin_px: int
    order: TileOrder = "rows"
    workers: int = 2

    def __str__(self) -> str:
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{self.tile_px} px, margin {self.margin_px}, {self.order}, {workers}"

    @property
    def work(self) -> float:
        """Pixels computed for each pixel kept."""
        return float(((self.tile_px + 2 * self.margin_px) / self.tile_px) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """The cells of one pass over the slide."""

    cells: CellTable
    seconds: float
    percent: float
    pixel_um: float

    @property
    def points_um(self) -> NDArray[np.float64]:
        """Centroids (n, 2), µm."""
        return np.column_stack([self.cells.x_um, self.cells.y_um])

    def near_seams(self, tile_px: int, side_um: float) -> NDArray[np.bool_]:
        """Return which cells lie within ``SEAM_UM`` of a border between two tiles; the slide's own border is none."""
        pitch = tile_px * self.pixel_um
        seams = np.arange(pitch, side_um - self.pixel_um, pitch)
        near = np.zeros(len(self.cells), bool)
        for seam in seams:
            near |= (np.abs(self.points_um - seam) <= SEAM_UM).any(axis=1)
        return near


@dataclass(frozen=True, slots=True, eq=False)
class Slide:
    """An open slide and what is the same for every tiling of it."""

    reader: SlideReader
    tissue: TissueMap
    white: tuple[float, float, float]
    grid: Grid

    def run(self, tiling: Tiling, predictor: MapPredictor) -> Pass:
        """Find all cells with this tiling."""
        settings = MeasureSettings().cells_with(predictor.card)
        plan = plan_tiles(self.tissue, self.grid, self.reader.info.size, tiling.tile_px, tiling.margin_px, tiling.order)
        stains = reference_stains(self.white)
        work = TileWork(self.reader, predictor, stains, self.tissue.fragment_at, plan, settings)
        started = time.perf_counter()
        results = list(stream_tiles(work, tiling.workers))
        seconds = time.perf_counter() - started
        cells = CellTable.concatenate([result.cells for result in sorted(results, key=lambda one: one.tile.index)])
        positive, _ = call_cells(cells, CallRule(p_threshold=predictor.card.thresholds.positive))
        return Pass(cells, seconds, 100 * float(positive.mean()) if len(cells) else 0.0, self.grid.pixel_um)


def tilings() -> Iterator[Tiling]:
    """Yield what is tried."""
    for margin_px in MARGINS_PX:
        for tile_px in TILES_PX:
            yield Tiling(tile_px, margin_px)
        for order in ORDERS:
            yield Tiling(1024, margin_px, order)
        yield Tiling(1024, margin_px, workers=1)


def compared(tiling: Tiling, tiled: Pass, whole: Pass, side_um: float) -> dict[str, Any]:
    """Return one row of the table."""
    every = detect(tiled.points_um, whole.points_um, MATCH_UM)
    near = detect(
        tiled.points_um,
        whole.points_um,
        MATCH_UM,
        found_counts=tiled.near_seams(tiling.tile_px, side_um),
        true_counts=whole.near_seams(tiling.tile_px, side_um),
    )
    row: dict[str, Any] = {
        "tiling": str(tiling),
        "cells": len(tiled.cells),
        "F1": _rounded(every.f1),
        "F1 at seams": _rounded(near.f1),
        "at seams": near.tp + near.fn,
        "count %": 100 * abs(len(tiled.cells) - len(whole.cells)) / max(1, len(whole.cells)),
        "points": abs(tiled.percent - whole.percent),
        "work ×": tiling.work,
        "seconds": tiled.seconds,
    }
    row["met"] = all(bar.met for bar in bars_of([row]))
    return row


def _rounded(value: float | None) -> str:
    """Return an F1 with enough digits to see what a seam costs."""
    return "–" if value is None else f"{value:.5f}"


def bars_of(rows: list[dict[str, Any]]) -> list[Bar]:
    """Return the bars over the worst of some passes."""

    def worst_f1(name: str) -> float | None:
        values = [float(row[name]) for row in rows if row[name] != "–"]
        return min(values) if values else None

    bars = [
        Bar("F1, all cells", worst_f1("F1"), F1_LIMIT, at_most=False),
        Bar("difference in count, %", max(row["count %"] for row in rows), COUNT_LIMIT_PERCENT),
        Bar("difference in percentage, points", max(row["points"] for row in rows), POINTS_LIMIT),
    ]
    # A tile as large as the slide has no seam.
    if (seams := worst_f1("F1 at seams")) is not None:
        bars.append(Bar("F1 within 10 µm of seams", seams, SEAM_F1_LIMIT, at_most=False))
    return bars


def cheapest(rows: list[dict[str, Any]]) -> str:
    """Return the least margin that meets the bars for each tile size, and what it costs."""
    parts = []
    for tile_px in TILES_PX:
        good = [margin_px for margin_px in MARGINS_PX if _all_met(rows, f"{tile_px} px, margin {margin_px},")]
        work = f"{Tiling(tile_px, good[0]).work:.2f} px computed for each kept" if good else ""
        parts.append(f"{tile_px} px: {f'{good[0]} ({work})' if good else 'none of those tried'}")
    return "least margin that meets all bars, " + "; ".join(parts)


def _all_met(rows: list[dict[str, Any]], start: str) -> bool:
    return all(row["met"] for row in rows if row["tiling"].startswith(start))


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Tiled passes against one untiled pass, on real lymph-node pixels.")
    parser.add_argument("--side", type=int, default=4096, help="of the slide in px of 0.5 µm (default 4096: 4.2 mm²)")
    parser.add_argument("--runtime", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    side_l0 = round(options.side * 0.5 / NODE_MPP.x)
    predictor = usual_predictor("default", options.runtime)
    untiled = Tiling(options.side, max(MARGINS_PX), workers=1)
    rows = []
    with node_slide(side_l0, side_l0) as (path, source), open_slide(path) as reader:
        overview, tissue = find_slide_tissue(reader, MeasureSettings())
        grid = Grid(predictor.card.pixel_um, reader.info.require_mpp())
        slide = Slide(reader, tissue, estimate_white_point(overview, tissue.grid.pixel_um).rgb, grid)
        whole = slide.run(untiled, predictor)
        for tiling in tilings():
            tiled = slide.run(tiling, predictor)
            rows.append(compared(tiling, tiled, whole, options.side * grid.pixel_um))
            print(f"{tiling}: {tiled.seconds:.1f} s", file=sys.stderr, flush=True)
    notes = [
        source,
        f"{tissue.area_um2() / 1e6:.2f} mm² of tissue; untiled pass: {len(whole.cells)} cells, "
        f"{whole.percent:.2f} % positive, {whole.seconds:.1f} s; {predictor.description}",
        cheapest(rows),
    ]
    shipped = f"margin {MeasureSettings().margin_px},"
    bars = bars_of([row for row in rows if shipped in row["tiling"]] or rows)
    show(
        "Tiled against untiled", [*notes, f"bars: the worst pass with {shipped[:-1]}"], rows, bars, as_json=options.json
    )


if __name__ == "__main__":
    main()
