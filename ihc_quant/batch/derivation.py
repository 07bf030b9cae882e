"""From a measured slide to its scores, tables and pictures: what ``score`` does last and ``rescore`` does again.

Everything is read back from the slide's folder, also the first time, so that both give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ihc_quant.batch.cell_store import CELLS_FILE as CELLS_FILE
from ihc_quant.batch.cell_store import read_columns, read_outlines
from ihc_quant.batch.example_bank import first_drawn
from ihc_quant.batch.measurement import Measurement, WeightsUsed, write_slide_json
from ihc_quant.batch.outputs import write_whole
from ihc_quant.batch.pixel_store import load_crops, load_fragments, load_thumbnail, unreadable
from ihc_quant.domain.geometry import Grid, GridBox, Size
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import NoTissue, Scored, SlideOutcome
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.gallery import (
    EXAMPLES_PER_CALL,
    Example,
    GalleryRow,
    choose_examples,
    draw_gallery,
    example_box,
    outline_in,
)
from ihc_quant.report.overview import draw_overview
from ihc_quant.scoring.blocks import count_blocks, cut_blocks
from ihc_quant.scoring.calls import CallRule
from ihc_quant.scoring.counts import count_by_fragment, count_cells
from ihc_quant.scoring.score import ScoreSettings, score_marker
from ihc_quant.scoring.uncertain import count_uncertain
from ihc_quant.tissue.map import TissueMap

TILES_FILE = "tiles.parquet"

TILE_COUNTS: tuple[str, ...] = ("negative", "one_plus", "two_plus", "three_plus")
"""Derived columns of the tile table."""


def derive(folder: Path, measurement: Measurement, rule: CallRule, timings: Mapping[str, float]) -> SlideOutcome:
    """Derive scores and pictures from the tables in a slide's folder and write them there.

    Parameters
    ----------
    folder : Path
        Holds ``cells.parquet`` called by ``rule``, ``tiles.parquet`` and the kept pixels.
    measurement : Measurement
    rule : CallRule
    timings : mapping of str to float
        Seconds, kept in ``slide.json``.

    Raises
    ------
    OutputError
        Where results cannot be read back or written.
    """
    tissue = load_fragments(folder, measurement.overview_grid)
    names = ["x_um", "y_um", "x_l0", "y_l0", "p_positive", rule.od_column, "grade", "positive", "tile", "fragment"]
    cells = read_columns(folder / CELLS_FILE, list(dict.fromkeys(names)))
    if len(cells["tile"]) != measurement.cells or cells["fragment"].max(initial=0) > tissue.fragment_count:
        raise unreadable(folder / CELLS_FILE)
    settings = ScoreSettings()
    calls = {"rule": asdict(rule), "scores": asdict(settings)}
    provenance = measurement.provenance(calls)
    count_tiles(folder, cells["tile"], cells["grade"])
    draw_pictures(folder, measurement, rule, tissue, cells)
    outcome: SlideOutcome
    if tissue.fragment_count == 0:
        outcome = NoTissue(measurement.slide_id, measurement.stain, provenance)
    else:
        areas = dict(enumerate(tissue.fragment_areas_um2(), start=1))
        blocks = cut_blocks(tissue.fragments, tissue.grid.pixel_um, settings.block_um)
        outcome = Scored(
            measurement.slide_id,
            measurement.stain,
            score_marker(
                measurement.stain.marker,
                count_cells(cells["grade"], tissue.area_um2()),
                count_blocks(cells["x_um"], cells["y_um"], cells["fragment"], cells["grade"], blocks),
                settings,
                errors=errors_of(measurement.weights, rule),
                uncertain=count_uncertain(cells["p_positive"], measurement.weights.uncertain)
                if rule.mode == "network"
                else None,
            ),
            count_by_fragment(cells["grade"], cells["fragment"], areas),
            provenance,
        )
    write_slide_json(folder, outcome, measurement, timings)
    return outcome


def errors_of(weights: WeightsUsed, rule: CallRule) -> tuple[MeasurementError, ...] | None:
    """Return the network's measured error; None where it does not hold, because cells are called otherwise."""
    as_measured = rule.mode == "network" and rule.p_threshold == weights.positive_threshold
    return weights.measurement if as_measured or not weights.measurement else None


def called(measured: Mapping[str, Any], rule: CallRule) -> dict[str, Any]:
    """Return the metadata of a cell table: what was measured, and the rule of its derived columns."""
    return {**measured, "calls": asdict(rule)}


def tile_table(plan: TilePlan, tissue: TissueMap) -> pa.Table:
    """Return the tile table of a plan: index, core in level-0 pixels, tissue in the core; counts are added later."""
    tiles = sorted(plan.tiles, key=lambda tile: tile.index)
    cores = [plan.grid.to_l0(tile.core) for tile in tiles]
    columns: dict[str, NDArray[Any]] = {
        "tile": np.array([tile.index for tile in tiles], np.int32),
        "x0_px": np.array([tile.core.x0 for tile in tiles], np.int32),
        "y0_px": np.array([tile.core.y0 for tile in tiles], np.int32),
        "x0_l0": np.array([core.x0 for core in cores], np.float64),
        "y0_l0": np.array([core.y0 for core in cores], np.float64),
        "x1_l0": np.array([core.x1 for core in cores], np.float64),
        "y1_l0": np.array([core.y1 for core in cores], np.float64),
        "tissue_um2": np.array([tissue.area_in(core) for core in cores], np.float64),
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def write_table(path: Path, table: pa.Table) -> None:
    """Write a small table whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_plan(folder: Path, measurement: Measurement) -> TilePlan:
    """Return the tiles that were used.

    Raises
    ------
    OutputError
        Where the tile table cannot be read back.
    """
    columns = read_columns(folder / TILES_FILE, ["tile", "x0_px", "y0_px"])
    side, tiles = measurement.tile_px, []
    for index, x0, y0 in zip(columns["tile"], columns["x0_px"], columns["y0_px"], strict=True):
        core = GridBox(int(x0), int(y0), int(x0) + side, int(y0) + side)
        tiles.append(Tile(int(index), core, core.grown(measurement.margin_px)))
    return TilePlan(measurement.network_grid, side, measurement.margin_px, tuple(tiles))


def unread_tiles(plan: TilePlan, size_l0: Size) -> tuple[Tile, ...]:
    """Return the tiles of the lattice that were not read, because no tissue was found in them; numbered from 0."""
    extent, side = plan.grid.extent(size_l0), plan.tile_px
    read = {(tile.core.x0, tile.core.y0) for tile in plan.tiles}
    corners = [(x, y) for y in range(0, extent.height, side) for x in range(0, extent.width, side)]
    cores = [GridBox(x, y, x + side, y + side) for x, y in corners if (x, y) not in read]
    return tuple(Tile(index, core, core.grown(plan.margin_px)) for index, core in enumerate(cores))


def count_tiles(folder: Path, tile: NDArray[np.int32], grade: NDArray[np.int8]) -> None:
    """Write the counts of each tile into the tile table."""
    path = folder / TILES_FILE
    columns = read_columns(path, ["tile", "x0_px", "y0_px", "x0_l0", "y0_l0", "x1_l0", "y1_l0", "tissue_um2"])
    position = np.searchsorted(columns["tile"], tile)
    if not np.isin(tile, columns["tile"]).all():
        raise unreadable(path)
    counts = np.zeros((len(columns["tile"]), len(TILE_COUNTS)), np.int32)
    np.add.at(counts, (position, grade.astype(np.int64)), 1)
    columns |= {name: counts[:, number] for number, name in enumerate(TILE_COUNTS)}
    write_table(path, pa.table({name: pa.array(values) for name, values in columns.items()}))


def draw_pictures(
    folder: Path, measurement: Measurement, rule: CallRule, tissue: TissueMap, cells: Mapping[str, NDArray[Any]]
) -> None:
    """Draw ``overview.png`` and ``gallery.png``."""
    thumbnail = load_thumbnail(folder)
    if thumbnail.shape[:2] != tissue.fragments.shape:
        raise unreadable(folder / "pixels")
    plan = read_plan(folder, measurement)
    overview = draw_overview(
        thumbnail,
        measurement.overview_grid,
        tissue.mask,
        plan,
        cells["x_l0"],
        cells["y_l0"],
        cells["positive"],
        slide_id=measurement.slide_id,
        marker=measurement.stain.marker,
        fragments=tissue.fragments,
        excluded=unread_tiles(plan, Size(measurement.facts.width_px, measurement.facts.height_px)),
    )
    gallery = draw_gallery(
        example_rows(folder, measurement, rule, cells),
        slide_id=measurement.slide_id,
        marker=measurement.stain.marker,
        rule=rule_in_words(rule),
        pixel_um=measurement.network_um,
    )
    write_whole(folder / "overview.png", encode_png(overview))
    write_whole(folder / "gallery.png", encode_png(gallery))


def example_rows(
    folder: Path, measurement: Measurement, rule: CallRule, cells: Mapping[str, NDArray[Any]]
) -> list[GalleryRow]:
    """Return the rows of the gallery, chosen among the cells whose pixels were kept."""
    kept = np.array(measurement.examples, np.int64)
    grid = measurement.network_grid
    crops = load_crops(folder, len(kept), example_box(0.0, 0.0, grid.pixel_um).width)
    values = cells["p_positive"] if rule.mode == "network" else cells[rule.od_column]
    threshold = rule.p_threshold if rule.mode == "network" else rule.cuts_od[0]
    x_um, y_um = cells["x_um"][kept], cells["y_um"][kept]
    grade = cells["grade"][kept]
    rows = choose_examples(values[kept], grade, x_um, y_um, threshold=threshold)
    # The kept cells are rich in rare kinds. Those of a call are drawn as if from all cells of that call.
    drawn = first_drawn(kept, len(cells["grade"]), grade, EXAMPLES_PER_CALL)
    plain = choose_examples(values[kept][drawn], grade[drawn], x_um[drawn], y_um[drawn], threshold=threshold)
    places = [*(tuple(int(drawn[index]) for index in row.cells) for row in plain[:-1]), rows[-1].cells]
    outlines = read_outlines(folder / CELLS_FILE, kept)
    return [
        GalleryRow(
            row.call,
            tuple(
                Example(
                    crops[index],
                    _outline(x_um[index], y_um[index], outlines[index], grid),
                    float(cells["p_positive"][kept[index]]),
                    float(cells[rule.od_column][kept[index]]),
                )
                for index in chosen
            ),
        )
        for row, chosen in zip(rows, places, strict=True)
    ]


def _outline(x_um: float, y_um: float, offsets: NDArray[np.int16], grid: Grid) -> NDArray[np.float64]:
    box = example_box(x_um, y_um, grid.pixel_um)
    return outline_in(box, x_um, y_um, offsets, grid.pixel_um)


def rule_in_words(rule: CallRule) -> str:
    """Return the rule as a caption states it.

    Examples
    --------
    >>> rule_in_words(CallRule())
    'positive from p 0.50; grades by mean OD of the cell, cuts 0.2, 0.4, 0.6 (not validated)'
    """
    cuts = ", ".join(f"{cut:g}" for cut in rule.cuts_od)
    statistic = "mean" if rule.statistic == "mean" else "90th percentile"
    grades = f"{statistic} OD of the {rule.compartment}, cuts {cuts} ({rule.label})"
    if rule.mode == "od":
        return f"positive and grades by {grades}"
    return f"positive from p {rule.p_threshold:.2f}; grades by {grades}"
