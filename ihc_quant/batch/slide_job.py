"""One slide, from file to results on disk; the one place where an error of a slide becomes a value."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.region_places import Place, is_analysed
from ihc_quant.batch.cell_store import CellWriter
from ihc_quant.batch.derivation import CELLS_FILE, called, derive, show
from ihc_quant.batch.example_bank import Eligible, cut_examples
from ihc_quant.batch.file_stamp import file_stamp, require_unchanged
from ihc_quant.batch.measurement import MadeWith, Measurement, WeightsUsed
from ihc_quant.batch.outputs import SLIDES_FOLDER, folder_name, whole_folder
from ihc_quant.batch.pixel_store import load_quality, save_fragments, save_thumbnail
from ihc_quant.batch.quality_control import QualityCheck, QualityUsed
from ihc_quant.batch.region_store import KeptRegions, read_annotations, save_regions
from ihc_quant.batch.settings import COARSEST_MPP_UM, MeasureSettings
from ihc_quant.batch.slide_facts import facts_of, white_alone, white_and_stains
from ihc_quant.batch.tile_stream import StepSeconds, TileWork, stream_tiles
from ihc_quant.batch.tile_table import TILES_FILE, tile_table, write_table
from ihc_quant.domain.geometry import Grid, GridBox, Mpp, Point
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.domain.stain import NO_CHROMOGEN, SectionStain
from ihc_quant.domain.tile import TilePlan
from ihc_quant.errors import CalibrationMissing, IhcQuantError, SlideError
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule, call_cells
from ihc_quant.scoring.section_places import place_cells, place_tissue
from ihc_quant.scoring.spoiled_places import exclude_cells
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.overview import read_overview
from ihc_quant.slide.reader import SlideReader
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.estimate import estimate_stains, estimate_white_point, reference_stains
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.mask import find_tissue
from ihc_quant.tissue.plan import plan_tiles

OVERVIEW_PX = 1024
"""Longer side of the overview of a small slide; a large one gets more pixels of ``MeasureSettings.overview_um``."""

STAIN_SAMPLE_TILES = 12
"""Tiles from which the slide's own stain vectors are estimated, spread over the plan."""

STAIN_SAMPLE_PX = 256
"""Side of the square that is read in the middle of each of them."""

Progress = Callable[[int, int], None]
"""Called with (tiles done, tiles in all)."""


@dataclass(frozen=True, slots=True)
class SlideTask:
    """One slide to score.

    Attributes
    ----------
    path : Path
    stain : SectionStain
        What the section shows.
    slide_id : str or None
        Name under which results are kept; made from the quick hash where None, so that a file name, which may be an
        accession number, goes into no result.
    mpp : Mpp or None
        Override of the file's calibration.
    series : int or None
        Image of a file with several.
    fragments : tuple of int
        Tissue fragments that are this section, ascending, from 1; empty for all.
    annotations : Path or None
        GeoJSON of drawn regions.
    propose_infiltrate : bool
        Whether the software proposes an infiltrate where none was drawn.
    """

    path: Path
    stain: SectionStain
    slide_id: str | None = None
    mpp: Mpp | None = None
    series: int | None = None
    fragments: tuple[int, ...] = ()
    annotations: Path | None = None
    propose_infiltrate: bool = True


@dataclass(frozen=True, slots=True)
class SlideRun:
    """What became of a task.

    Attributes
    ----------
    outcome : SlideOutcome
    folder : Path or None
        Where its results lie; None where it failed.
    error : Exception or None
        A ``SlideError`` where the slide cannot be used; anything else is a fault of the program.
    """

    outcome: SlideOutcome
    folder: Path | None
    error: Exception | None = None


def run_slide(
    task: SlideTask,
    out: Path,
    predictor: MapPredictor,
    measure: MeasureSettings,
    rule: CallRule,
    workers: int,
    on_progress: Progress = lambda _done, _total: None,
) -> SlideRun:
    """Score one slide and write its results to ``out/slides/<slide_id>/``, whole or not at all.

    A section without chromogen is shown and not scored: no tile of it is read.

    Parameters
    ----------
    task : SlideTask
    out : Path
        Output folder of the run.
    predictor : MapPredictor
        The network, ready for ``workers`` threads.
    measure : MeasureSettings
    rule : CallRule
    workers : int
        Tiles worked on at once.
    on_progress : callable
        See ``Progress``.

    Returns
    -------
    SlideRun
        ``Failed`` where the slide cannot be used, and where the program has a fault; no result is left then.

    Raises
    ------
    OutputError
        Where results cannot be written: that stops the run.
    """
    given = "slide" if task.slide_id is None else task.slide_id
    stamp = file_stamp(task.path)
    try:
        with open_slide(task.path, mpp=task.mpp, series=task.series) as reader:
            shown = task.stain.chromogen == NO_CHROMOGEN
            if not shown:
                require_fine_enough(reader.info, str(task.path), measure)
            slide_id = default_id(reader.info) if task.slide_id is None else task.slide_id
            final = out / SLIDES_FOLDER / folder_name(slide_id)
            corner = reader.info.bounds_l0
            drawn = read_annotations(task.annotations, str(task.path), Point(corner.x0, corner.y0))
            with whole_folder(final) as folder:
                save_regions(folder, drawn)
                outcome: SlideOutcome
                if shown:
                    outcome = _show_into(folder, slide_id, task, reader, measure, drawn)
                else:
                    outcome = _score_into(
                        folder, slide_id, task, reader, predictor, measure, rule, workers, on_progress, drawn
                    )
                require_unchanged(task.path, stamp)
        return SlideRun(outcome, final)
    except SlideError as error:
        return SlideRun(Failed(given, task.stain, error.reason), None, error)
    except IhcQuantError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary: a fault on one slide must not lose the others
        reason = f"the program failed ({type(error).__name__}); report it with the traceback"
        return SlideRun(Failed(given, task.stain, reason), None, error)


def default_id(info: SlideInfo) -> str:
    """Return the name of results that the user gave none: made from the pixels' hash, never from the file's name."""
    name = f"slide-{info.quick_hash[:12]}"
    return f"{name}-{info.series}" if info.series_count > 1 else name


def require_fine_enough(info: SlideInfo, name: str, measure: MeasureSettings) -> None:
    """Refuse a slide that is too coarse, unless the settings allow it.

    Raises
    ------
    CalibrationMissing
        Where µm per pixel are unknown or too coarse.
    """
    mpp = info.require_mpp()
    if mpp.coarser > COARSEST_MPP_UM and not measure.allow_coarse:
        raise CalibrationMissing(
            name,
            f"{mpp.coarser:.3g} µm per pixel are too coarse for the network (at most {COARSEST_MPP_UM}); scan at 20× "
            "or more, or pass --allow-coarse and take the figures with caution",
        )


def _score_into(
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
) -> SlideOutcome:
    """Measure a slide into a folder and derive its first scores there."""
    started = time.perf_counter()
    info, card = reader.info, predictor.card
    overview, tissue = find_slide_tissue(reader, measure)
    require_fragments(task, tissue)
    white = estimate_white_point(overview, tissue.grid.pixel_um)
    grid = Grid(card.pixel_um, info.require_mpp())
    wanted = _fragments_to_read(tissue, drawn, task.fragments)
    plan = plan_tiles(wanted, grid, info.size, measure.tile_px, measure.margin_px)
    stains = reference_stains(white.rgb)
    estimate = estimate_stains(_stain_sample(reader, plan), white.rgb)
    save_thumbnail(folder, overview)
    save_fragments(folder, tissue)
    prepared = time.perf_counter()
    cell_settings = measure.cells_with(card)
    settings = _slide_settings(measure, task, info) | {
        "weights": card.name,
        "weights_sha256": card.sha256,
        "cells": asdict(cell_settings),
    }
    check = QualityCheck.of(measure, grid, info.size) if plan.tiles else None
    work = TileWork(
        reader, predictor, stains, tissue.fragment_at, plan, cell_settings, control_quality=check is not None
    )
    seconds, done = StepSeconds(), 0
    measured = {"slots": {"1": asdict(task.stain)}, "settings": settings, "slide_hash": info.quick_hash,
                "network_um": card.pixel_um}  # fmt: skip
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
    tiled = time.perf_counter()
    write_table(folder / TILES_FILE, tile_table(plan, tissue))
    quality = None
    if check is not None:
        degrees = estimate.stain_deviation_degrees
        quality = check.judge(folder, overview, tissue, drawn.regions, task.fragments, stains, degrees)
    judged = time.perf_counter()
    examples = cut_examples(folder, reader, grid, _eligible(folder, tissue, drawn, task.fragments, quality))
    measurement = Measurement(
        slide_id=slide_id,
        stain=task.stain,
        facts=facts_of(info),
        stains=white_and_stains(stains, white, estimate),
        weights=WeightsUsed.of(card),
        settings=settings,
        network_um=grid.pixel_um,
        overview_um=tissue.grid.pixel_um,
        tile_px=plan.tile_px,
        margin_px=plan.margin_px,
        made_with=MadeWith.here(predictor.description),
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
    return derive(folder, measurement, rule, timings)


def _eligible(
    folder: Path, tissue: TissueMap, drawn: KeptRegions, named: tuple[int, ...], quality: QualityUsed | None
) -> Eligible:
    """Return which cells may be examples: those that are analysed, as ``derive`` will find again."""
    excluded = () if quality is None else quality.excluded

    def analysed(
        x_l0: NDArray[np.float64], y_l0: NDArray[np.float64], fragment: NDArray[np.int16]
    ) -> NDArray[np.bool_]:
        places = place_cells(x_l0, y_l0, fragment, drawn.regions, named)
        if excluded:
            places = exclude_cells(places, x_l0, y_l0, load_quality(folder, tissue), excluded)
        return is_analysed(places)

    return analysed


def _show_into(
    folder: Path, slide_id: str, task: SlideTask, reader: SlideReader, measure: MeasureSettings, drawn: KeptRegions
) -> SlideOutcome:
    """Keep the thumbnail of a section that is not scored, and draw its picture."""
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
    return show(folder, measurement, {"preparation": time.perf_counter() - started})


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


def _fragments_to_read(tissue: TissueMap, drawn: KeptRegions, named: tuple[int, ...]) -> TissueMap:
    """Return the fragments of which tiles are read: those named, and those that hold control tissue."""
    if not named:
        return tissue
    placed, _ = place_tissue(tissue.fragments, tissue.grid, drawn.regions, named)
    control = np.unique(tissue.fragments[placed.places == Place.CONTROL_TISSUE])
    read = np.isin(tissue.fragments, [*named, *control.tolist()]) & tissue.mask
    return TissueMap(read.astype(np.int16), tissue.grid)


def find_slide_tissue(reader: SlideReader, measure: MeasureSettings) -> tuple[NDArray[np.uint8], TissueMap]:
    """Return the overview of a slide, uint8 (H, W, 3), and the tissue found on it."""
    overview, grid = read_slide_overview(reader, measure)
    return overview, find_tissue(overview, grid, measure.tissue)


def read_slide_overview(reader: SlideReader, measure: MeasureSettings) -> tuple[NDArray[np.uint8], Grid]:
    """Return the overview of a slide, uint8 (H, W, 3), and its grid."""
    info = reader.info
    mpp = info.require_mpp()
    longest_um = max(info.size.width * mpp.x, info.size.height * mpp.y)
    pixel_um = min(max(longest_um / OVERVIEW_PX, mpp.coarser), max(measure.overview_um, mpp.coarser))
    return read_overview(reader, pixel_um=pixel_um)


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
