"""Seconds per mm² of reading, network, post-processing and the whole ``score``, beside the frozen classical pipeline.

One run, one slide, the same pixels for all; the repeats of all measures are interleaved, so that a machine that slows
down slows all of them. Medians are printed. Bar: the whole ``score`` takes at most the time of the classical pipeline,
in a process that runs and as a process of its own with its start-up; two thirds of it are hoped for. Two profiles say
where the time goes: the steps of post-processing, and what is done once a slide.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar
from unittest.mock import patch

import cv2
import numpy as np
from classical import PIXEL_UM, ClassicalPipeline, started_on
from material import node_slide
from numpy.typing import NDArray
from scoring_runs import run_here, run_program, usual_predictor
from tables import Bar, show

from ihc_quant.batch import derivation, slide_drawing, slide_measuring
from ihc_quant.batch.cell_store import CellWriter
from ihc_quant.batch.quality_control import QualityCheck
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_overview import find_slide_tissue
from ihc_quant.cells import find
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.tile import Tile, TileImage, TilePlan
from ihc_quant.errors import IhcQuantError
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.plan import plan_tiles

WORKERS = 2
RUNTIMES: tuple[Literal["openvino", "torch"], ...] = ("openvino", "torch")
WHOLE_LIMIT = 1.0
"""Whole ``score`` over the classical pipeline."""

CLASSICAL, WHOLE = "classical pipeline, 2 processes", "score, file to Parquet, as a user runs it"
HERE = "score in this process, without start-up"

STEP = "step of post-processing, 1 thread"
STEPS = (
    "find_peaks",
    "grow_nuclei",
    "measure_nuclei",
    "add_rings",
    "chromogen_density",
    "measure_stain",
    "trace_outlines",
)
"""What ``find_cells`` calls, timed one by one."""

ONCE = "once a slide, by the clock"
ONCE_STEPS: tuple[tuple[Any, str, str], ...] = (
    (slide_measuring, "find_slide_tissue", "overview and tissue"),
    (slide_measuring, "_keep_and_estimate", "thumbnail and stain vectors, beside the tiles"),
    (CellWriter, "write", "cell table, between the tiles"),
    (slide_measuring, "cut_examples", "example crops, beside the judgement"),
    (QualityCheck, "judge", "quality: causes"),
    (slide_measuring, "judge_places", "quality: findings"),
    (derivation, "read_columns", "reading the cells back"),
    (derivation, "place_section", "places of cells and tissue"),
    (derivation, "_score", "scores and intervals"),
    (slide_drawing.Section, "positive_density", "density map, beside the scores"),
    (derivation, "_save_for_page", "keeping the density map, beside the pictures"),
    (slide_drawing, "_write_overview", "overview picture"),
    (slide_drawing, "_write_gallery", "gallery, beside the overview picture"),
)
"""Where a step is found, its name there, and what it is."""

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Seconds:
    """What one run took: by the clock, and on the processor over all threads and processes.

    The second hardly changes on a busy machine; half of it is what two quiet cores would need at best.
    """

    clock: float
    cpu: float


Measure = Callable[[], Seconds]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A slide, planned and read, with the maps of its tiles: what each step needs of the one before."""

    slide: Path
    grid: Grid
    plan: TilePlan
    tissue: TissueMap
    images: list[TileImage]
    maps: list[CellMaps]
    predictors: dict[str, MapPredictor]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The cores of all tiles laid together, uint8 (H, W, 3): what the classical pipeline gets."""
        right = max(tile.core.x1 for tile in self.plan.tiles)
        below = max(tile.core.y1 for tile in self.plan.tiles)
        rgb = np.full((below, right, 3), 255, np.uint8)
        margin = self.plan.margin_px
        for image in self.images:
            core = image.tile.core
            rgb[core.y0 : core.y1, core.x0 : core.x1] = image.rgb[margin:-margin, margin:-margin]
        return rgb


def make_stage(slide: Path) -> Stage:
    """Plan and read a slide as ``score`` does, and run the network on it once."""
    measure = MeasureSettings()
    with open_slide(slide) as reader:
        _, tissue = find_slide_tissue(reader, measure)
        grid = Grid(PIXEL_UM, reader.info.require_mpp())
        plan = plan_tiles(tissue, grid, reader.info.size, measure.tile_px, measure.margin_px)
        images = [TileImage(tile, read_grid(reader, grid, tile.read)) for tile in plan.tiles]
    predictors: dict[str, MapPredictor] = {}
    for runtime in RUNTIMES:
        try:
            predictors[runtime] = usual_predictor(measure.weights, runtime, WORKERS)
        except (ImportError, IhcQuantError) as error:
            print(f"{runtime} is not available: {error}")
    maps = in_threads(next(iter(predictors.values())).predict, [image.rgb for image in images], WORKERS)
    return Stage(slide, grid, plan, tissue, images, maps, predictors)


def in_threads(work: Callable[[A], R], items: list[A], threads: int) -> list[R]:
    """Return the results for all items, worked on by that many threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def timed(work: Callable[[], object]) -> Seconds:
    """Return what one call takes in this process."""
    started, busy = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - started, time.process_time() - busy)


def classical(pipeline: ClassicalPipeline) -> Seconds:
    """Return what the classical pipeline takes in its processes."""
    started = time.perf_counter()
    _, busy = pipeline.run()
    return Seconds(time.perf_counter() - started, busy)


def measures(stage: Stage, folder: Path) -> dict[str, Measure]:
    """Return what is measured, by name, in the order of the table; the classical pipeline is added by ``main``."""

    def reading(threads: int) -> Seconds:
        # Opened anew each time, so that no tile comes from the reader's cache.
        with open_slide(stage.slide) as reader:

            def read(tile: Tile) -> None:
                read_grid(reader, stage.grid, tile.read)

            return timed(lambda: in_threads(read, list(stage.plan.tiles), threads))

    def network(predictor: MapPredictor) -> Seconds:
        def predict(image: TileImage) -> None:
            predictor.predict(image.rgb)

        return timed(lambda: in_threads(predict, stage.images, WORKERS))

    openvino = next(iter(stage.predictors.values()))
    found: dict[str, Measure] = {f"reading, {threads} thread(s)": lambda n=threads: reading(n) for threads in (1, 2)}  # type: ignore[misc]
    found |= {
        f"network, {name}, {WORKERS} workers": lambda p=predictor: network(p)  # type: ignore[misc]
        for name, predictor in stage.predictors.items()
    }
    found[f"post-processing, {WORKERS} workers"] = lambda: timed(lambda: find_all(stage, WORKERS))
    found[HERE] = lambda: timed(lambda: run_here(stage.slide, folder / "here", openvino, WORKERS))

    def program() -> Seconds:
        run = run_program(stage.slide, folder / "program", "other")
        return Seconds(run.seconds, run.cpu_seconds)

    found[WHOLE] = program
    return found


def find_all(stage: Stage, threads: int) -> int:
    """Find the cells of all tiles; returns how many."""
    stains = reference_stains((255.0, 255.0, 255.0))
    settings = MeasureSettings().cells_with(next(iter(stage.predictors.values())).card)
    cv2.setNumThreads(1)

    def cells_of(tile: tuple[CellMaps, TileImage]) -> int:
        return len(find.find_cells(*tile, stains, stage.grid, stage.tissue.fragment_at, settings))

    return sum(in_threads(cells_of, list(zip(stage.maps, stage.images, strict=True)), threads))


@contextmanager
def step_clock(steps: Sequence[tuple[Any, str, str]]) -> Iterator[dict[str, float]]:
    """Time steps (where, name there, what it is) while the body runs; yields the seconds of each by what it is."""
    seconds = {what: 0.0 for _, _, what in steps}

    def clocked(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return step(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - started

        return run

    with ExitStack() as stack:
        for where, name, what in steps:
            stack.enter_context(patch.object(where, name, clocked(what, getattr(where, name))))
        yield seconds


def step_rows(stage: Stage, area_mm2: float) -> list[dict[str, Any]]:
    """Return what each step of the post-processing takes in one thread."""
    started = time.perf_counter()
    with step_clock([(find, name, name) for name in STEPS]) as seconds:
        find_all(stage, 1)
    whole = time.perf_counter() - started
    seconds["everything else"] = whole - sum(seconds.values())
    return [
        {STEP: name, "s/mm²": value / area_mm2, "share": f"{100 * value / whole:.0f} %"}
        for name, value in seconds.items()
    ]


def once_rows(stage: Stage, folder: Path, area_mm2: float) -> list[dict[str, Any]]:
    """Return what is done once a slide, in the order in which it begins; some of it lies beside other steps."""
    started = time.perf_counter()
    with step_clock(ONCE_STEPS) as seconds:
        run_here(stage.slide, folder / "once", next(iter(stage.predictors.values())), WORKERS)
    whole = time.perf_counter() - started
    return [
        {ONCE: name, "s/mm²": value / area_mm2, "share": f"{100 * value / whole:.0f} %"}
        for name, value in seconds.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds per mm² of each step and of the whole, on real pixels.")
    # A biopsy slide has 10 to 150 mm² of tissue.
    parser.add_argument("--width", type=int, default=20480, help="of the slide, in px of 0.25 µm (default 20480)")
    parser.add_argument("--height", type=int, default=16384, help="default 16384: 21 mm² with the default width")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with node_slide(options.width, options.height) as (slide, source), TemporaryDirectory() as folder:
        stage = make_stage(slide)
        pixels = stage.pixels
        tissue_mm2 = stage.tissue.area_um2() / 1e6
        pixels_mm2 = pixels.shape[0] * pixels.shape[1] * (PIXEL_UM / 1000) ** 2
        cells = find_all(stage, WORKERS)
        names = measures(stage, Path(folder))
        for measure in names.values():
            measure()  # compiles, loads and fills the system's file cache
        taken: dict[str, list[Seconds]] = {name: [] for name in (*names, CLASSICAL)}
        with started_on(pixels) as pipeline:
            names[CLASSICAL] = lambda: classical(pipeline)
            for _ in range(options.repeats):
                for name, measure in names.items():
                    taken[name].append(measure())
        steps = step_rows(stage, tissue_mm2)
        once = once_rows(stage, Path(folder), tissue_mm2)
    seconds = {name: [one.clock for one in runs] for name, runs in taken.items()}
    cpu = {name: statistics.median(one.cpu for one in runs) for name, runs in taken.items()}
    yardstick = statistics.median(seconds[CLASSICAL])
    rows = [
        {
            "measured": name,
            "s/mm²": statistics.median(values) / tissue_mm2,
            "least": min(values) / tissue_mm2,
            "most": max(values) / tissue_mm2,
            "× classical": statistics.median(values) / yardstick,
            "cpu s/mm²": cpu[name] / tissue_mm2,
            "× classical, cpu": cpu[name] / cpu[CLASSICAL],
        }
        for name, values in seconds.items()
    ]
    notes = [
        source,
        f"{tissue_mm2:.2f} mm² of tissue found on {options.width} × {options.height} px of 0.25 µm "
        f"({pixels_mm2:.2f} mm² of tiles); figures are seconds for a mm² of tissue",
        f"{len(stage.plan.tiles)} tiles of {stage.plan.tile_px} px with a margin of {stage.plan.margin_px}; "
        f"{cells / tissue_mm2:.0f} cells/mm²; median of {options.repeats} interleaved repeats",
    ]
    bars = [
        Bar(f"{name}, over the classical pipeline", statistics.median(seconds[name]) / yardstick, WHOLE_LIMIT)
        for name in (HERE, WHOLE)
    ]
    if options.json:
        notes += [f"{row[STEP]}: {row['s/mm²']:.4f} s/mm²" for row in steps]
        notes += [f"{row[ONCE]}: {row['s/mm²']:.4f} s/mm²" for row in once]
    else:
        show("Post-processing by step", notes[:1], steps, [], as_json=False)
        show("Once a slide", notes[:1], once, [], as_json=False)
    show("Speed", notes, rows, bars, as_json=options.json)


if __name__ == "__main__":
    main()
