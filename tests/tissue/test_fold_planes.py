"""The planes that the fold network sees, and their raster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.stain.density import density_table
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, FOLD_STEP_PX, PLANES, SQUARE, PlaneRaster, fold_planes

WHITE = (240.0, 236.0, 230.0)


def test_planes_are_densities_of_pixels_of_a_micrometre() -> None:
    rgb = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8), 2, 0), 2, 1)
    planes = fold_planes(rgb, WHITE)
    table = np.clip(np.rint(density_table(WHITE) / DENSITY_STEP_OD), 0, 255)
    assert planes.shape == (16, 24, PLANES)
    assert np.array_equal(planes, np.stack([table[c][rgb[::2, ::2, c]] for c in range(3)], axis=-1))


def test_glass_has_no_density_and_black_the_largest_that_is_kept() -> None:
    assert not fold_planes(np.full((16, 16, 3), 240, np.uint8), (240.0, 240.0, 240.0)).any()
    assert (fold_planes(np.zeros((16, 16, 3), np.uint8), WHITE) == 255).all()


@pytest.mark.parametrize("shape", [(12, 16, 3), (16, 20, 3), (0, 16, 3)])
def test_sizes_that_are_no_multiple_of_a_square_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        fold_planes(np.zeros(shape, np.uint8), WHITE)


@given(st.integers(-40, 60), st.integers(-40, 60), st.sampled_from([2, 5, 8]))
@settings(deadline=None, max_examples=40)
def test_windows_show_the_slide_however_it_was_tiled(y0: int, x0: int, tile: int) -> None:
    whole = np.random.default_rng(1).integers(1, 256, (37 * SQUARE, 43 * SQUARE, PLANES), np.uint8)
    raster = PlaneRaster.empty(Size(43 * FOLD_STEP_PX, 37 * FOLD_STEP_PX))
    margin, reach = 3, (tile + 3) * SQUARE
    padded = np.pad(whole, ((margin * SQUARE, reach), (margin * SQUARE, reach), (0, 0)))
    for top in range(0, 37, tile):
        for left in range(0, 43, tile):
            core = GridBox(*(value * FOLD_STEP_PX for value in (left, top, left + tile, top + tile)))
            rows, columns = (slice(at * SQUARE, (at + tile + 2 * margin) * SQUARE) for at in (top, left))
            raster.put(core, core.grown(margin * FOLD_STEP_PX), padded[rows, columns])
    window = raster.window(y0, x0, 16)
    (top, bottom), (left, right) = ((max(at, 0), min(at + 16, size)) for at, size in ((y0, 37), (x0, 43)))
    if window is None:
        assert top >= bottom or left >= right
        return
    seen = whole[top * SQUARE : bottom * SQUARE, left * SQUARE : right * SQUARE]
    beyond = [
        ((first - at) * SQUARE, (at + 16 - last) * SQUARE) for first, last, at in ((top, bottom, y0), (left, right, x0))
    ]
    assert np.array_equal(window, np.pad(seen, (*beyond, (0, 0)), mode="reflect"))


def test_a_tile_past_the_slide_leaves_nothing() -> None:
    raster, box = PlaneRaster.empty(Size(80, 80)), GridBox(80, 0, 144, 64)
    raster.put(box, box, np.ones((32, 32, PLANES), np.uint8))
    assert raster.window(0, 0, 20) is None
