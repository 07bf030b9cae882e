"""The stream of tiles: results that do not know how they were cut, bounded look-ahead, errors that come through."""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_overview import find_slide_tissue
from ihc_quant.batch.tile_stream import TILES_AHEAD, StepSeconds, TileResult, TileWork, stream_tiles
from ihc_quant.domain.cell_table import CellTable, scalar_columns
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.errors import RegionUnreadable
from ihc_quant.evaluation.matching import match_points
from ihc_quant.network.card import WEIGHTS_FOLDER
from ihc_quant.network.predictor import MapPredictor, load_predictor
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.writing import write_pyramid
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.synthetic.field import paint_training_field
from ihc_quant.tissue.plan import TileOrder, plan_tiles

UNTILED = 8192


def measured(
    path: Path, predictor: MapPredictor, tile_px: int, workers: int = 1, order: TileOrder = "rows"
) -> CellTable:
    """Return the cells of a slide, sorted by place."""
    measure = MeasureSettings(tile_px=tile_px)
    with open_slide(path) as reader:
        _, tissue = find_slide_tissue(reader, measure)
        grid = Grid(0.5, reader.info.require_mpp())
        plan = plan_tiles(tissue, grid, reader.info.size, tile_px, measure.margin_px, order)
        stains = reference_stains((244.0, 244.0, 244.0))
        work = TileWork(reader, predictor, stains, tissue.fragment_at, plan, measure.cells_with(predictor.card))
        table = CellTable.concatenate([result.cells for result in stream_tiles(work, workers)])
    return table.take(np.lexsort((table.x_l0, table.y_l0)))


def assert_same(one: CellTable, other: CellTable) -> None:
    assert len(one) == len(other) > 0
    for column in scalar_columns():
        if column.name != "tile":
            np.testing.assert_allclose(
                getattr(one, column.name), getattr(other, column.name), rtol=1e-6, atol=1e-6, err_msg=column.name
            )
    np.testing.assert_array_equal(one.outline_xy, other.outline_xy)


@pytest.fixture(scope="module")
def untiled(tiny_slide: Path, painted_predictor: MapPredictor) -> CellTable:
    return measured(tiny_slide, painted_predictor, UNTILED)


@pytest.mark.parametrize("tile_px", [64, 128, 208, 512, 1024])
@pytest.mark.parametrize("workers", [1, 2])
def test_cells_do_not_depend_on_tile_size(
    tiny_slide: Path, painted_predictor: MapPredictor, untiled: CellTable, tile_px: int, workers: int
) -> None:
    assert_same(measured(tiny_slide, painted_predictor, tile_px, workers), untiled)


@pytest.mark.parametrize("order", get_args(TileOrder))
def test_cells_do_not_depend_on_tile_order(
    tiny_slide: Path, painted_predictor: MapPredictor, untiled: CellTable, order: TileOrder
) -> None:
    assert_same(measured(tiny_slide, painted_predictor, 128, 2, order), untiled)


@pytest.mark.skipif(not (WEIGHTS_FOLDER / "default.json").is_file(), reason="the default weights are not here")
def test_tiling_with_the_real_network(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "field.tif", paint_training_field(7, 768).rgb, 0.5, quality=95)
    predictor = load_predictor("default", runtime="openvino", workers=2)
    whole = measured(tmp_path / "field.tif", predictor, UNTILED)
    tiled = measured(tmp_path / "field.tif", predictor, 256, workers=2)
    assert len(whole) > 100
    assert abs(len(tiled) - len(whole)) <= 0.005 * len(whole)
    places = [np.column_stack((table.x_um, table.y_um)) for table in (whole, tiled)]
    pairs = len(match_points(places[0], places[1], 1.0).found)
    assert 2 * pairs / (len(whole) + len(tiled)) >= 0.995
    threshold = predictor.card.thresholds.positive
    percent = [100 * np.mean(table.p_positive >= threshold) for table in (whole, tiled)]
    assert abs(percent[0] - percent[1]) <= 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal(TileWork):
    """Work that takes a moment, counts what is alive and may fail at one tile."""

    fails_at: int = -1
    started: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    lock: Any = field(default_factory=threading.Lock)

    def run(self, tile: Tile) -> TileResult:
        with self.lock:
            self.started.add(tile.index)
        time.sleep(random.Random(tile.index).uniform(0, 0.003))
        with self.lock:
            self.finished.add(tile.index)
        if tile.index == self.fails_at:
            raise RegionUnreadable("slide", "a tile is damaged; copy it anew")
        return TileResult(tile, CellTable.empty(), StepSeconds(1.0, 2.0, 3.0))


def rehearsal(tiles: int, fails_at: int = -1) -> Rehearsal:
    boxes = [GridBox(16 * index, 0, 16 * index + 16, 16) for index in range(tiles)]
    plan = TilePlan(Grid(0.5, Mpp.square(0.5)), 16, 0, tuple(Tile(index, box, box) for index, box in enumerate(boxes)))
    nothing: Any = None
    return Rehearsal(nothing, nothing, nothing, nothing, plan, nothing, fails_at)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 5))
def test_order_is_kept_and_few_tiles_are_alive(tiles: int, workers: int) -> None:
    work = rehearsal(tiles)
    seen: list[int] = []
    for result in stream_tiles(work, workers):
        assert len(work.started) - len(seen) <= workers * TILES_AHEAD + 1
        seen.append(result.tile.index)
    assert seen == list(range(tiles))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 30).flatmap(lambda tiles: st.tuples(st.just(tiles), st.integers(0, tiles - 1))), st.integers(1, 4)
)
def test_error_of_a_tile_comes_through_and_ends_the_work(tiles_and_place: tuple[int, int], workers: int) -> None:
    tiles, place = tiles_and_place
    work = rehearsal(tiles, fails_at=place)
    with pytest.raises(RegionUnreadable):
        list(stream_tiles(work, workers))
    assert len(work.started) <= place + workers * TILES_AHEAD + 1
    assert work.finished == work.started


def test_nothing_runs_on_once_the_stream_is_closed() -> None:
    work = rehearsal(100)
    stream = stream_tiles(work, 3)
    next(stream)
    stream.close()
    assert work.finished == work.started
    assert len(work.started) <= 3 * TILES_AHEAD + 1


def test_reader_is_closed_after_the_last_tile_is_read(
    tiny_slide: Path, painted_predictor: Any, score: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that cannot be written must not close the slide under workers that still read it."""
    from ihc_quant.batch import cell_store, tile_stream
    from ihc_quant.slide import resample

    late: list[BaseException] = []

    def slow_read(*args: Any) -> NDArray[np.uint8]:
        time.sleep(0.05)
        try:
            return original(*args)
        except BaseException as error:
            late.append(error)
            raise

    original = resample.read_continued
    monkeypatch.setattr(tile_stream, "read_continued", slow_read)

    def refuse(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cell_store.CellWriter, "write", refuse)
    run = score(tiny_slide, tmp_path, tile_px=64, workers=3)
    assert isinstance(run.error, ZeroDivisionError)
    assert not late


def test_tissue_cut_by_the_border_goes_on_as_its_mirror_image_and_none_of_that_is_counted(tmp_path: Path) -> None:
    """Cells at the border are those of the same picture drawn out by its mirror image, and lie within the slide."""
    side, around = 500, 64
    rgb = paint_training_field(8, side).rgb
    drawn_out = np.pad(rgb, ((around, around), (around, around), (0, 0)), "reflect")
    predictor, tables = load_predictor(WEIGHTS_FOLDER / "default.json", device="cpu"), []
    for name, pixels in (("cut.tiff", rgb), ("drawn-out.tiff", drawn_out)):
        write_pyramid(tmp_path / name, pixels, 0.5, quality=100)
        tables.append(measured(tmp_path / name, predictor, 256))
    cut, whole = (np.column_stack([table.x_l0, table.y_l0]) for table in tables)
    whole = whole[((whole > around) & (whole < around + side)).all(axis=1)] - around
    assert len(cut) > 100
    assert cut.min() >= 0
    assert cut.max() < side
    # The tissue mask is coarser at the border of the cut one, and JPEG compresses other squares.
    assert len(match_points(cut, whole, 2.0)) >= 0.97 * max(len(cut), len(whole))


def test_seconds_add() -> None:
    assert StepSeconds(1, 2, 3) + replace(StepSeconds(), cells=1.0) == StepSeconds(1, 2, 4)
