"""The overview of a slide."""

import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import box

from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.quality import Cause, QualityMap
from ihc_quant.domain.tile import Tile, TilePlan
from ihc_quant.report.density_map import SMOOTHING_UM, DensityMap, positive_density
from ihc_quant.report.overview import EXCLUDED_COLOUR, TILE_COLOUR, draw_overview
from ihc_quant.report.region_outlines import COLOURS
from ihc_quant.report.spoiled_outlines import CAUSE_COLOURS, SpoiledPlaces

MPP = Mpp.square(0.25)
GRID = Grid(16.0, MPP)


def scene(height: int = 90, width: int = 120) -> tuple[NDArray[np.uint8], NDArray[np.bool_], TilePlan]:
    rgb = np.full((height, width, 3), 240, np.uint8)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    rgb[mask] = (180, 150, 190)
    core = GridBox(512, 512, 1536, 1536)
    plan = TilePlan(Grid(0.5, MPP), 1088, 32, (Tile(0, core, core.grown(32)),))
    return rgb, mask, plan


def cells(count: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(3)
    positive = np.zeros(count, bool)
    positive[::4] = True
    return rng.uniform(2000, 5700, count), rng.uniform(1500, 4300, count), positive


def count_near(picture: NDArray[np.uint8], colour: tuple[int, int, int], within: int = 6) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) <= within).sum())


def test_the_picture_is_deterministic_and_changes_with_the_calls() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()
    first = draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4")
    again = draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4")
    other = draw_overview(rgb, GRID, mask, plan, x, y, ~positive, slide_id="s", marker="CD4")
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_inputs_are_left_alone() -> None:
    rgb, mask, plan = scene()
    kept = rgb.copy(), mask.copy()
    x, y, positive = cells()
    draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4", excluded=plan.tiles)
    assert np.array_equal(rgb, kept[0])
    assert np.array_equal(mask, kept[1])


def test_excluded_tiles_are_hatched_and_out_of_the_heat_map() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()
    plain = draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4")
    hatched = draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4", excluded=plan.tiles)
    assert count_near(plain, EXCLUDED_COLOUR) == 0
    assert count_near(hatched, EXCLUDED_COLOUR) > 300
    assert not np.array_equal(plain[:, plain.shape[1] // 2 :], hatched[:, plain.shape[1] // 2 :])


def test_tiles_stand_where_they_are_on_the_slide() -> None:
    rgb = np.full((96, 96, 3), 255, np.uint8)
    mask = np.ones((96, 96), bool)
    _, _, plan = scene()
    nothing = np.empty(0)
    picture = draw_overview(rgb, GRID, mask, plan, nothing, nothing, np.empty(0, bool), slide_id="s", marker="CD4")
    bluish = (picture[..., 2].astype(int) - picture[..., 0] > 60) & (picture[..., 1] > picture[..., 0] + 20)
    legend = picture.shape[0] - 140
    rows, columns = np.nonzero(bluish[126:legend, 24:784])
    # The core covers 256 to 768 µm of 1,536 µm, drawn 760 picture pixels wide.
    scale = 760 / 1536
    assert columns.min() == pytest.approx(256 * scale, abs=2)
    assert columns.max() == pytest.approx(768 * scale, abs=2)
    assert rows.min() == pytest.approx(256 * scale, abs=2)
    assert rows.max() == pytest.approx(768 * scale, abs=2)
    assert TILE_COLOUR[2] > TILE_COLOUR[0]


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (40, 400), (400, 40), (1000, 1400)])
def test_slides_of_any_shape_are_drawn(shape: tuple[int, int]) -> None:
    rgb, mask, plan = scene(*shape)
    x, y, positive = cells(5)
    fragments = mask.astype(np.int16)
    name = "a very long name " * 30 + "😐"
    picture = draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id=name, marker="CCR4", fragments=fragments)
    assert 200 < picture.shape[0] < 2500
    assert 500 < picture.shape[1] < 2000


def test_a_slide_without_tissue_or_cells_is_drawn() -> None:
    rgb, mask, plan = scene()
    empty = TilePlan(plan.grid, plan.tile_px, plan.margin_px, ())
    nothing = np.empty(0)
    picture = draw_overview(
        rgb, GRID, np.zeros_like(mask), empty, nothing, nothing, np.empty(0, bool), slide_id="s", marker="CD8"
    )
    assert picture.std() > 0


def test_a_density_that_is_there_is_drawn_where_it_is_that_of_the_tissue() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()
    where = x[positive] / GRID.scale_x, y[positive] / GRID.scale_y
    there = DensityMap(positive_density(*where, mask, GRID.pixel_um, SMOOTHING_UM), mask, GRID.pixel_um)

    def drawn(density: DensityMap | None, excluded: tuple[Tile, ...] = ()) -> NDArray[np.uint8]:
        return draw_overview(
            rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4", excluded=excluded, density=density
        )

    assert np.array_equal(drawn(there), drawn(None))
    other = DensityMap(there.per_mm2[:, ::-1].copy(), mask, GRID.pixel_um)
    assert not np.array_equal(drawn(other), drawn(None))
    assert np.array_equal(drawn(other, plan.tiles), drawn(None, plan.tiles)), "of other tissue than is drawn"


def test_shapes_that_do_not_fit_are_refused() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()
    with pytest.raises(ValueError, match="one height and width"):
        draw_overview(rgb, GRID, mask[1:], plan, x, y, positive, slide_id="s", marker="CD4")
    with pytest.raises(ValueError, match="one x, one y"):
        draw_overview(rgb, GRID, mask, plan, x[1:], y, positive, slide_id="s", marker="CD4")


def test_regions_are_outlined_named_and_dashed_where_proposed() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()
    square = box(2200, 1700, 5000, 4000)

    def drawn(*regions: Region, analysed: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
        return draw_overview(
            rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4", regions=regions, analysed=analysed
        )

    colour = COLOURS[RegionKind.INFILTRATE]
    plain = drawn()
    by_hand = drawn(Region(RegionKind.INFILTRATE, square, "Infiltrate", 1))
    proposed = drawn(Region(RegionKind.INFILTRATE, square, "proposed infiltrate", 0, proposed=True))
    assert count_near(plain, colour) == 0
    assert count_near(by_hand, colour) > 1.5 * count_near(proposed, colour) > 500
    assert by_hand.shape[0] > plain.shape[0], "a key stands below"
    nothing = drawn(analysed=np.zeros_like(mask))
    assert not np.array_equal(nothing[:, nothing.shape[1] // 2 :], plain[:, plain.shape[1] // 2 :])
    # A region that lies off the slide is no fault of the picture.
    assert drawn(Region(RegionKind.DERMIS, box(9e5, 9e5, 1e6, 1e6), "Dermis", 1)).shape == by_hand.shape


def test_causes_are_outlined_and_hatched_where_they_are_left_out() -> None:
    rgb, mask, plan = scene()
    x, y, positive = cells()

    def drawn(cause: Cause, *excluded: Cause) -> NDArray[np.uint8]:
        causes = np.zeros(mask.shape, np.uint8)
        causes[30:60, 40:80] = cause
        spoiled = SpoiledPlaces(QualityMap(causes, GRID), excluded)
        return draw_overview(rgb, GRID, mask, plan, x, y, positive, slide_id="s", marker="CD4", spoiled=spoiled)

    plain = drawn(Cause.CLEAN)
    assert np.array_equal(drawn(Cause.EDGE), plain)
    for cause, colour in CAUSE_COLOURS.items():
        told, left_out = drawn(cause), drawn(cause, cause)
        assert count_near(plain, colour) < count_near(told, colour) < count_near(left_out, colour) / 3
        assert told.shape[0] == left_out.shape[0] > plain.shape[0], "a key stands below"
