"""Reading onto a grid: exact, without drift, and the same however the slide is split."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.slide.resample import choose_sampling, read_continued, read_grid

SLIDE = np.random.default_rng(7).integers(0, 256, (90, 130, 3), dtype=np.uint8)

mpps = st.floats(0.2, 0.6)
pixel_sizes = st.floats(0.21, 2.5)


def array_pixels(_: int, box: GridBox) -> NDArray[np.uint8]:
    height, width, _ = SLIDE.shape
    rgb = np.full((box.height, box.width, 3), 255, np.uint8)
    x0, y0, x1, y1 = max(0, box.x0), max(0, box.y0), min(width, box.x1), min(height, box.y1)
    if x1 > x0 and y1 > y0:
        rgb[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = SLIDE[y0:y1, x0:x1]
    return rgb


def area_mean(grid: Grid, x: int, y: int) -> NDArray[np.float64]:
    """Mean of the level-0 pixels under one grid pixel, the slow and plain way."""
    box = grid.to_l0(GridBox(x, y, x + 1, y + 1))
    total = np.zeros(3)
    for row in range(math.floor(box.y0), math.ceil(box.y1)):
        for column in range(math.floor(box.x0), math.ceil(box.x1)):
            share_x = min(box.x1, column + 1) - max(box.x0, column)
            share_y = min(box.y1, row + 1) - max(box.y0, row)
            pixel = array_pixels(0, GridBox(column, row, column + 1, row + 1))[0, 0]
            total += share_x * share_y * pixel
    return np.asarray(total / (box.width * box.height))


@given(mpp_x=mpps, mpp_y=mpps, pixel_um=pixel_sizes)
@settings(max_examples=25, deadline=None)
def test_a_grid_pixel_is_the_area_mean_of_its_footprint(
    formula_reader: Any, mpp_x: float, mpp_y: float, pixel_um: float
) -> None:
    mpp = Mpp(mpp_x, mpp_y)
    reader, grid = formula_reader(array_pixels, [(130, 90)], mpp), Grid(pixel_um, mpp)
    extent = grid.extent(reader.info.size)
    rgb = read_grid(reader, grid, GridBox(-1, -1, extent.width + 1, extent.height + 1))
    for x, y in [(-1, 0), (0, 0), (extent.width // 2, extent.height // 3), (extent.width - 1, extent.height - 1)]:
        assert np.abs(rgb[y + 1, x + 1] - area_mean(grid, x, y)).max() <= 0.5 + 2e-2


@given(mpp_x=mpps, mpp_y=mpps, pixel_um=pixel_sizes, cut_x=st.integers(1, 40), cut_y=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_any_split_gives_identical_pixels(
    formula_reader: Any, mpp_x: float, mpp_y: float, pixel_um: float, cut_x: int, cut_y: int
) -> None:
    mpp = Mpp(mpp_x, mpp_y)
    reader, grid = formula_reader(array_pixels, [(130, 90)], mpp), Grid(pixel_um, mpp)
    whole = read_grid(reader, grid, GridBox(-3, -2, 50, 40))
    parts = np.zeros_like(whole)
    for y0, y1 in [(-2, cut_y), (cut_y, 40)]:
        for x0, x1 in [(-3, cut_x), (cut_x, 50)]:
            parts[y0 + 2 : y1 + 2, x0 + 3 : x1 + 3] = read_grid(reader, grid, GridBox(x0, y0, x1, y1))
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("box", [(-40, -30, 100, 70), (60, 40, 170, 130), (-20, -20, 150, 110), (10, 10, 120, 80)])
def test_beyond_the_slide_its_mirror_image_goes_on(formula_reader: Any, box: tuple[int, int, int, int]) -> None:
    reader, grid = formula_reader(array_pixels, [(130, 90)], Mpp.square(0.5)), Grid(0.5, Mpp.square(0.5))
    x0, y0, x1, y1 = box
    mirrored = np.pad(SLIDE, ((50, 50), (50, 50), (0, 0)), "reflect")
    np.testing.assert_array_equal(
        read_continued(reader, grid, GridBox(*box)), mirrored[y0 + 50 : y1 + 50, x0 + 50 : x1 + 50]
    )


@pytest.mark.parametrize("mpp_x", [0.25, 0.2271, 0.23456789, 0.346, 0.499])
def test_nothing_drifts_over_a_slide_of_100_000_px(formula_reader: Any, mpp_x: float) -> None:
    def ramp(_: int, box: GridBox) -> NDArray[np.uint8]:
        """Brightness of a level-0 pixel is its x modulo 200, so a shift of one pixel shows everywhere."""
        row = (np.arange(box.x0, box.x1) % 200).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (box.height, box.width, 3)))

    mpp = Mpp(mpp_x, mpp_x)
    reader, grid = formula_reader(ramp, [(100_000, 4)], mpp), Grid(0.5, mpp)
    width = grid.extent(reader.info.size).width
    for start in [0, width // 2, width - 70]:
        rgb = read_grid(reader, grid, GridBox(start, 0, start + 60, 1))
        for i in range(60):
            low, high = (start + i) * grid.scale_x, (start + i + 1) * grid.scale_x
            pixels = np.arange(math.floor(low), math.ceil(high))
            share = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
            assert abs(float(rgb[0, i, 0]) - float((pixels % 200 * share).sum() / share.sum())) <= 0.51


def test_whole_factors_round_halves_up(formula_reader: Any) -> None:
    mpp = Mpp.square(0.25)
    reader = formula_reader(array_pixels, [(130, 90)], mpp)
    for factor in (1, 2, 3, 5):
        rgb = read_grid(reader, Grid(0.25 * factor, mpp), GridBox(0, 0, 12, 10))
        blocks = SLIDE[: 10 * factor, : 12 * factor].reshape(10, factor, 12, factor, 3).astype(int).sum((1, 3))
        np.testing.assert_array_equal(rgb, (blocks + factor**2 // 2) // factor**2)


@given(value=st.integers(0, 255), pixel_um=pixel_sizes)
@settings(max_examples=25, deadline=None)
def test_an_even_slide_stays_even(formula_reader: Any, value: int, pixel_um: float) -> None:
    def even(_: int, box: GridBox) -> NDArray[np.uint8]:
        return np.full((box.height, box.width, 3), value, np.uint8)

    reader = formula_reader(even, [(500, 500)], Mpp.square(0.25))
    assert (read_grid(reader, Grid(pixel_um, Mpp.square(0.25)), GridBox(0, 0, 40, 30)) == value).all()


def test_the_nearest_finer_level_is_read(formula_reader: Any) -> None:
    mpp = Mpp.square(0.25)
    sizes = [(4001, 3001), (2000, 1500), (500, 375)]
    info = formula_reader(array_pixels, sizes, mpp).info
    chosen = {um: choose_sampling(info, Grid(um, mpp)) for um in (0.2, 0.4, 0.5, 0.9, 2.0, 9.0)}
    assert {um: sampling.level.index for um, sampling in chosen.items()} == {
        0.2: 0, 0.4: 0, 0.5: 1, 0.9: 1, 2.0: 2, 9.0: 2
    }  # fmt: skip
    assert chosen[0.5].step_x == 1


def test_memory_does_not_grow_with_the_box(formula_reader: Any) -> None:
    def white(_: int, box: GridBox) -> NDArray[np.uint8]:
        return np.full((box.height, box.width, 3), 255, np.uint8)

    reader = formula_reader(white, [(9000, 9000)], Mpp.square(0.25))
    assert (read_grid(reader, Grid(9.0, Mpp.square(0.25)), GridBox(0, 0, 250, 250)) == 255).all()
    assert reader.largest_read_px <= 1 << 24
