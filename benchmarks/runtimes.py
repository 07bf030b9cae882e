"""The network alone, in each runtime and precision of this machine: seconds for a mm², cells and calls that change.

Beside them runs a plain U-Net of known speed (``yardstick``), so that times can be carried over to another machine. The
runs take turns on the same tiles; read the ratios. ``taskset -c 0`` before the command measures one core.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from material import SHARED_DATA, node_plane
from numpy.typing import NDArray
from tables import Bar, show
from yardstick import YARDSTICK_S_PER_MM2, PlainUNet

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.cells.find import find_cells
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.tile import Tile, TileImage
from ihc_quant.evaluation.matching import match_points
from ihc_quant.network.architecture import CellNetwork, normalise
from ihc_quant.network.card import ARCHITECTURES, Architecture
from ihc_quant.network.devices import cpu_has_bfloat16
from ihc_quant.network.openvino_predictor import OpenVinoPredictor
from ihc_quant.network.predictor import MapPredictor, cropped_maps, padded_to_stride, usable_cores
from ihc_quant.network.torch_predictor import TorchPredictor, arrays_of, network_of
from ihc_quant.network.weights import Weights, load_weights
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.training.assessment import FieldCells, detect_by_source, percent_error
from ihc_quant.training.sources import BCDATA_MPP, CD138_BORDER_PX, CD138_MPP, read_point_set

PIXEL_UM = 0.5
TILE_PX = 1120
"""A tile of ``score`` with its margins."""
OTHER = ARCHITECTURES["efficientnet_lite0"]
"""Another network that is timed, untrained: what the encoder that is not shipped costs."""
SAME_PLACE_UM = 2.0
"""A cell that moved farther counts as another one."""
EAGER = "torch float32, as trained"
YARDSTICK = "yardstick, torch float32"
LIMITS = {"torch float32": 1.0, "torch bfloat16": 0.35}
"""Seconds over those of the network as trained that PyTorch may take."""
OPTIONAL_LIMIT, SECONDS_LIMIT = 0.2, 0.65

Pixels = NDArray[np.uint8]
Predict = Callable[[Pixels], CellMaps]


@dataclass(frozen=True, slots=True)
class Eager:
    """The network as training leaves it, in PyTorch, float32: what the other runs are compared with."""

    network: torch.nn.Module
    slope: float
    intercept: float

    def predict(self, rgb: Pixels) -> CellMaps:
        """Return the maps of an image."""
        with torch.inference_mode():
            logits = self.network(normalise(torch.from_numpy(padded_to_stride(rgb, 16))[None]))[0]
            logits[2] = logits[2] * self.slope + self.intercept
            return cropped_maps(torch.sigmoid(logits).numpy(), rgb)


def runs_of(weights: Weights, workers: int) -> dict[str, Predict]:
    """Return how the network can be run here, by name."""
    calibration = weights.card.calibration
    network = network_of(weights.arrays, weights.card.architecture)
    exact: list[MapPredictor] = [TorchPredictor(weights, "cpu", workers), OpenVinoPredictor(weights, workers)]
    runs: dict[str, Predict] = {EAGER: Eager(network, calibration.slope, calibration.intercept).predict}
    runs |= {"torch float32": exact[0].predict, "openvino float32": exact[1].predict}
    if cpu_has_bfloat16():
        runs["torch bfloat16"] = TorchPredictor(weights, "cpu", workers, "bfloat16").predict
        runs["openvino bfloat16"] = OpenVinoPredictor(weights, workers, "bfloat16").predict
    return runs | {"openvino int8": OpenVinoPredictor(weights, workers, "int8").predict}


def untrained(weights: Weights, architecture: Architecture) -> Weights:
    """Return weights of chance of another architecture, with the card of the given ones."""
    torch.manual_seed(0)
    arrays = arrays_of(CellNetwork(architecture).state_dict())
    return Weights(arrays, weights.card.model_copy(update={"architecture": architecture}), Path("untrained"))


def seconds_of(runs: dict[str, Predict], tiles: Sequence[Pixels], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each run over all tiles, one worker for each tile; the runs take turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with ThreadPoolExecutor(len(tiles)) as pool:
        for repeat in range(repeats + 1):
            for name, predict in runs.items():
                started = time.perf_counter()
                list(pool.map(predict, tiles))
                if repeat:  # the first one compiles and loads
                    taken[name].append(time.perf_counter() - started)
    return taken


def cells_of(weights: Weights, predict: Predict, rgb: Pixels) -> CellTable:
    """Return the cells of an image, all of it taken for tissue."""
    box = GridBox(0, 0, rgb.shape[1], rgb.shape[0])
    image, grid = TileImage(Tile(0, box, box), rgb), Grid(PIXEL_UM, Mpp.square(PIXEL_UM))
    settings = MeasureSettings().cells_with(weights.card)

    def everywhere(x: NDArray[np.float64], _y: NDArray[np.float64]) -> NDArray[np.int16]:
        return np.ones(len(x), np.int16)

    return find_cells(predict(rgb), image, reference_stains(), grid, everywhere, settings)


def changes(found: Iterable[CellTable], reference: Iterable[CellTable], threshold: float) -> dict[str, float]:
    """Return how cells differ from those of the reference, in percent of the reference."""
    more = changed = alone = total = 0
    for one, other in zip(found, reference, strict=True):
        places = [np.column_stack([table.x_um, table.y_um]) for table in (one, other)]
        pairs = match_points(places[0], places[1], SAME_PLACE_UM)
        changed += int(
            ((one.p_positive[pairs.found] >= threshold) != (other.p_positive[pairs.true] >= threshold)).sum()
        )
        alone += len(one) + len(other) - 2 * len(pairs)
        more, total = more + len(one) - len(other), total + len(other)
    total = max(total, 1)
    return {"count %": 100 * more / total, "calls %": 100 * changed / total, "cells %": 50 * alone / total}


def time_rows(weights: Weights, name: str, tiles: Sequence[Pixels], repeats: int) -> list[dict[str, Any]]:
    """Return the times of all runs of one network, and of the yardstick in turn with them."""
    workers = len(tiles)
    yard = PlainUNet().eval()

    def predict_yard(rgb: Pixels) -> CellMaps:
        with torch.inference_mode():
            return cropped_maps(yard(normalise(torch.from_numpy(padded_to_stride(rgb, 16))[None]))[0].numpy(), rgb)

    taken = seconds_of(runs_of(weights, workers) | {YARDSTICK: predict_yard}, tiles, repeats)
    area_mm2 = sum(tile.shape[0] * tile.shape[1] for tile in tiles) * (PIXEL_UM / 1000) ** 2
    return [
        {
            "run": f"{name}: {run}",
            "s/mm²": statistics.median(seconds) / area_mm2,
            "least": min(seconds) / area_mm2,
            "× as trained": median_ratio(seconds, taken[EAGER]),
            "× yardstick": median_ratio(seconds, taken[YARDSTICK]),
            "s/mm², estimated": median_ratio(seconds, taken[YARDSTICK]) * YARDSTICK_S_PER_MM2,
        }
        for run, seconds in taken.items()
    ]


def median_ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios, turn by turn, so that what else runs on the machine touches both."""
    return statistics.median(one / other for one, other in zip(seconds, others, strict=True))


def agreement_rows(weights: Weights, tiles: Sequence[Pixels]) -> list[dict[str, Any]]:
    """Return how far the cells of each run lie from those of the network as trained, on tiles and labelled images."""
    threshold = weights.card.thresholds.positive
    runs = runs_of(weights, 1)
    runs.setdefault("torch bfloat16", TorchPredictor(weights, "cpu", 1, "bfloat16").predict)
    torch.set_num_threads(usable_cores())
    fields = [field for field in labelled() if f"{field.source}/{field.group}" in weights.card.split["test"]]
    rows, references = [], [cells_of(weights, runs[EAGER], rgb) for rgb in tiles]
    labelled_references = [cells_of(weights, runs[EAGER], field.rgb) for field in fields]
    for name, predict in runs.items():
        tables = [cells_of(weights, predict, rgb) for rgb in tiles]
        cells = sum(len(table) for table in tables)
        empty: dict[str, Any] = {"F1 positive": None, "F1 negative": None, "error, points": None}
        rows.append({"run": f"tiles: {name}", "cells": cells} | changes(tables, references, threshold) | empty)
        for source in dict.fromkeys(field.source for field in fields):
            chosen = [number for number, field in enumerate(fields) if field.source == source]
            found = [FieldCells(fields[n], cells_of(weights, predict, fields[n].rgb), PIXEL_UM) for n in chosen]
            detection = detect_by_source(found, threshold)[source]
            errors = [error for one in found if (error := percent_error(one, threshold)) is not None]
            reference = [labelled_references[number] for number in chosen]
            rows.append(
                {"run": f"{source}: {name}", "cells": sum(len(one.cells) for one in found)}
                | changes([one.cells for one in found], reference, threshold)
                | {
                    "F1 positive": detection.positive.f1,
                    "F1 negative": detection.negative.f1,
                    "error, points": float(np.mean(errors)) if errors else None,
                }
            )
    return sorted(rows, key=lambda row: str(row["run"]).split(":")[0])


def labelled() -> list[Any]:
    """Return the images with marked cells; none where they are missing."""
    folder = SHARED_DATA / "labelled"
    if not folder.is_dir():
        return []
    return [
        *read_point_set(folder / "cd138", "cd138", CD138_MPP, PIXEL_UM, CD138_BORDER_PX),
        *read_point_set(folder / "bcdata", "bcdata", BCDATA_MPP, PIXEL_UM, 0),
    ]


def bars_of(rows: Sequence[dict[str, Any]], name: str) -> list[Bar]:
    """Return the bars of the shipped network."""
    by_run = {str(row["run"]).removeprefix(f"{name}: "): row for row in rows}
    bars = [
        Bar(f"{run} over the network as trained", by_run[run]["× as trained"], limit)
        for run, limit in LIMITS.items()
        if run in by_run
    ]
    bars.append(
        Bar("openvino int8 over the network as trained", by_run["openvino int8"]["× as trained"], OPTIONAL_LIMIT)
    )
    fastest = "torch bfloat16" if "torch bfloat16" in by_run else "torch float32"
    estimate = by_run[fastest]["s/mm², estimated"]
    bars.append(Bar(f"{fastest}, s/mm² estimated for the yardstick's machine", estimate, SECONDS_LIMIT))
    return bars


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The network alone in each runtime and precision of this machine.")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workers", type=int, default=usable_cores(), help="tiles at once (default: the cores)")
    parser.add_argument("--no-agreement", action="store_true", help="measure times only")
    parser.add_argument("--no-time", action="store_true", help="measure agreement only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    weights = load_weights(options.weights)
    plane = node_plane(2 * TILE_PX * options.workers).coarser(2)
    boxes = [GridBox(TILE_PX * n, 0, TILE_PX * (n + 1), TILE_PX) for n in range(options.workers)]
    tiles = [plane.read(box) for box in boxes]
    notes = [
        plane.source,
        f"{len(tiles)} tiles of {TILE_PX}² px at once; median of {options.repeats} turns; the "
        f"yardstick took {YARDSTICK_S_PER_MM2} s/mm² where it was defined, and 'estimated' is that times its ratio",
        f"bfloat16 instructions: {'yes' if cpu_has_bfloat16() else 'none, so it is not timed'}",
    ]
    if not options.no_time:
        rows = time_rows(weights, weights.card.name, tiles, options.repeats)
        bars = bars_of(rows, weights.card.name)
        rows += time_rows(untrained(weights, OTHER), f"{OTHER.encoder}, untrained", tiles, options.repeats)
        show("Runtimes: time", notes, rows, bars, as_json=options.json)
    if not options.no_agreement:
        notes = [plane.source, "differences from the network as trained; held-out images where they are labelled"]
        show("Runtimes: agreement", notes, agreement_rows(weights, tiles), [], as_json=options.json)


if __name__ == "__main__":
    main()
