"""From the pixels of a slide to its tables and rasters: all that needs the slide and the network, and nothing else.

Which tiles are read depends on the tissue and on the fragments named, never on the outlines that people draw: what they
draw later is applied to what was kept (see ``redrawn``).
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.batch.cell_store import CELLS_FILE, CellWriter
from ihc_quant.batch.derivation import called
from ihc_quant.batch.example_bank import cut_examples
from ihc_quant.batch.measurement import MadeWith, Measurement, WeightsUsed
from ihc_quant.batch.pixel_store import save_fragments, save_thumbnail
from ihc_quant.batch.quality_control import QualityCheck, judge_places
from ihc_quant.batch.region_store import KeptRegions
from ihc_quant.batch.section_placing import fragments_to_read
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_facts import facts_of, white_alone, white_and_stains
from ihc_quant.batch.slide_overview import find_slide_tissue, read_slide_overview
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.batch.tile_stream import StepSeconds, TileWork, stream_tiles
from ihc_quant.batch.tile_table import TILES_FILE, tile_table, write_table
from ihc_quant.domain.geometry import Grid, GridBox
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.domain.tile import TilePlan
from ihc_quant.errors import SlideError
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule, call_cells
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.estimate import (
    StainEstimate,
    WhitePoint,
    estimate_stains,
    estimate_white_point,
    reference_stains,
)
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.plan import plan_tiles

STAIN_SAMPLE_TILES = 12
"""Tiles from which the slide's own stain vectors are estimated, spread over the plan."""

STAIN_SAMPLE_PX = 256
"""Side of the square that is read in the middle of each of them."""

Progress = Callable[[int, int], None]
"""Called with (tiles done, tiles in all)."""


def measure_slide(
    folder: Path,
    slide_id: str,
    task: SlideTask,
    reader: SlideReader,
    predictor: MapPredictor,
    measure: MeasureSettings,
    rule: CallRule,
    workers: int,
    on_progress: Progress,
    drawn: KeptRegions,
) -> tuple[Measurement, dict[str, float]]:
    """Measure a slide into a folder, and return what was measured and the seconds that it took, by step.

    Parameters
    ----------
    folder : Path
        Gets the cell table called by ``rule``, the tile table and the kept pixels.
    slide_id : str
    task : SlideTask
    reader : SlideReader
    predictor : MapPredictor
    measure : MeasureSettings
    rule : CallRule
    workers : int
        Tiles worked on at once.
    on_progress : callable
        See ``Progress``.
    drawn : KeptRegions

    Raises
    ------
    SlideError
        Where the slide cannot be used.
    """
    started = time.perf_counter()
    info, card = reader.info, predictor.card
    overview, tissue = find_slide_tissue(reader, measure)
    require_fragments(task, tissue)
    white = estimate_white_point(overview, tissue.grid.pixel_um)
    grid = Grid(card.pixel_um, info.require_mpp())
    wanted = _part_to_read(tissue, fragments_to_read(tissue, drawn.regions, task.fragments))
    margin_px = max(measure.margin_px, card.architecture.margin_px)
    plan = plan_tiles(wanted, grid, info.size, measure.tile_px, margin_px)
    stains = reference_stains(white.rgb)
    prepared = time.perf_counter()
    cell_settings = measure.cells_with(card)
    settings = _slide_settings(measure, task, info) | measure.network_with(card)
    check = QualityCheck.of(measure, grid, info.size, card, workers) if plan.tiles else None
    work = TileWork(
        reader,
        predictor,
        stains,
        tissue.fragment_at,
        plan,
        cell_settings,
        control_quality=check is not None,
        folds_by_network=check is not None and check.folds is not None,
    )
    seconds, done = StepSeconds(), 0
    measured = {"slots": {"1": asdict(task.stain)}, "settings": settings, "slide_hash": info.quick_hash,
                "network_um": card.pixel_um}  # fmt: skip
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        # What does not wait for the cells is done while they are found, and examples are cut while quality is judged.
        estimating = beside.submit(_keep_and_estimate, folder, reader, overview, tissue, plan, white)
        with (
            CellWriter(folder / CELLS_FILE, lambda cells: call_cells(cells, rule), called(measured, rule)) as writer,
            closing(stream_tiles(work, workers)) as results,
        ):
            on_progress(0, len(plan.tiles))
            for result in results:
                writer.write(result.cells)
                if check is not None:
                    check.take(result)
                seconds += result.seconds
                done += 1
                on_progress(done, len(plan.tiles))
                if estimating.done():
                    estimating.result()  # an error there stops the tiles
        tiled = time.perf_counter()
        cutting = beside.submit(cut_examples, folder, reader, grid, workers)
        write_table(folder / TILES_FILE, tile_table(plan, tissue))
        used, quality = white_and_stains(stains, white, estimating.result()), None
        if check is not None:
            found = check.judge(folder, overview, tissue, stains)
            quality = judge_places(folder, tissue, drawn.regions, task.fragments, found, used.colours)
        judged = time.perf_counter()
        examples = cutting.result()
    measurement = Measurement(
        slide_id=slide_id,
        stain=task.stain,
        facts=facts_of(info),
        stains=used,
        weights=WeightsUsed.of(card),
        settings=settings,
        network_um=grid.pixel_um,
        overview_um=tissue.grid.pixel_um,
        tile_px=plan.tile_px,
        margin_px=plan.margin_px,
        made_with=MadeWith.here(predictor.description, predictor.caution),
        cells=writer.rows,
        examples=examples,
        fragments=task.fragments,
        annotations_sha256=drawn.file_sha256,
        propose_infiltrate=task.propose_infiltrate,
        quality=quality,
    )
    timings = {
        "preparation": prepared - started,
        "tiles": tiled - prepared,
        "reading_summed": seconds.reading,
        "network_summed": seconds.network,
        "cells_summed": seconds.cells,
        "quality_summed": seconds.quality + judged - tiled,
    }
    return measurement, timings


def measure_shown(
    folder: Path, slide_id: str, task: SlideTask, reader: SlideReader, measure: MeasureSettings, drawn: KeptRegions
) -> tuple[Measurement, dict[str, float]]:
    """Keep the thumbnail of a section that is shown and not scored; returns as ``measure_slide``."""
    started = time.perf_counter()
    overview, grid = read_slide_overview(reader, measure)
    save_thumbnail(folder, overview)
    measurement = Measurement(
        slide_id=slide_id,
        stain=task.stain,
        facts=facts_of(reader.info),
        stains=white_alone(estimate_white_point(overview, grid.pixel_um)),
        weights=WeightsUsed.none(),
        settings={**_slide_settings(measure, task, reader.info), "weights": None},
        network_um=grid.pixel_um,
        overview_um=grid.pixel_um,
        tile_px=measure.tile_px,
        margin_px=measure.margin_px,
        made_with=MadeWith.here("none"),
        cells=0,
        examples=(),
        annotations_sha256=drawn.file_sha256,
        propose_infiltrate=False,
    )
    return measurement, {"preparation": time.perf_counter() - started}


def _slide_settings(measure: MeasureSettings, task: SlideTask, info: SlideInfo) -> dict[str, Any]:
    override = None if task.mpp is None else [task.mpp.x, task.mpp.y]
    return measure.model_dump(mode="json") | {"mpp_override_um": override, "series": info.series}


def require_fragments(task: SlideTask, tissue: TissueMap) -> None:
    """Refuse fragments that a slide does not have.

    Raises
    ------
    SlideError
        Where a number is too high; a slide without tissue has a result of its own.
    """
    absent = [str(number) for number in task.fragments if number > tissue.fragment_count]
    if absent and tissue.fragment_count:
        raise SlideError(
            str(task.path),
            f"there is no fragment {' or '.join(absent)}, the slide has {tissue.fragment_count}; leave fragments empty "
            "once, read their numbers in the overview, and name those of this section",
        )


def _part_to_read(tissue: TissueMap, fragments: tuple[int, ...]) -> TissueMap:
    """Return the tissue of some fragments, of which tiles are read."""
    if len(fragments) == tissue.fragment_count:
        return tissue
    return TissueMap(np.isin(tissue.fragments, fragments).astype(np.int16), tissue.grid)


def _keep_and_estimate(
    folder: Path,
    reader: SlideReader,
    overview: NDArray[np.uint8],
    tissue: TissueMap,
    plan: TilePlan,
    white: WhitePoint,
) -> StainEstimate:
    """Keep overview and fragments, and return the estimate of the slide's own stain vectors."""
    save_thumbnail(folder, overview)
    save_fragments(folder, tissue)
    return estimate_stains(_stain_sample(reader, plan), white.rgb)


def _stain_sample(reader: SlideReader, plan: TilePlan) -> NDArray[np.uint8]:
    """Return pixels of some tiles, uint8 (n, 3), for the estimate of the slide's own stain vectors."""
    picked = np.unique(np.linspace(0, len(plan.tiles) - 1, min(STAIN_SAMPLE_TILES, len(plan.tiles))).astype(int))
    pixels = [np.empty((0, 3), np.uint8)]
    for index in picked:
        core = plan.tiles[index].core
        side = min(STAIN_SAMPLE_PX, core.width)
        x0, y0 = core.x0 + (core.width - side) // 2, core.y0 + (core.height - side) // 2
        pixels.append(read_grid(reader, plan.grid, GridBox(x0, y0, x0 + side, y0 + side)).reshape(-1, 3))
    return np.concatenate(pixels)
