"""Places and sizes, each in a named frame."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.geometry import Box, Grid, GridBox, Mpp, Point, Size

mpps = st.builds(Mpp, st.floats(0.05, 5), st.floats(0.05, 5))
grids = st.builds(Grid, st.floats(0.1, 10), mpps)
lengths = st.integers(1, 200_000)


@given(grids, st.integers(0, 400_000), st.integers(0, 400_000), st.integers(1, 2048), st.integers(1, 2048))
@settings(deadline=None)
def test_neighbouring_boxes_share_their_edge_exactly(grid: Grid, x: int, y: int, width: int, height: int) -> None:
    left = grid.to_l0(GridBox(x, y, x + width, y + height))
    right = grid.to_l0(GridBox(x + width, y, x + 2 * width, y + height))
    below = grid.to_l0(GridBox(x, y + height, x + width, y + 2 * height))
    assert left.x1 == right.x0
    assert left.y1 == below.y0


@given(grids, lengths, lengths)
@settings(deadline=None)
def test_the_extent_covers_the_slide_and_not_a_pixel_more(grid: Grid, width: int, height: int) -> None:
    extent = grid.extent(Size(width, height))
    for pixels, length, scale in ((extent.width, width, grid.scale_x), (extent.height, height, grid.scale_y)):
        assert pixels * scale >= length - 2e-6 * scale
        assert pixels == 1 or (pixels - 1) * scale < length


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60), st.integers(0, 40))
@settings(deadline=None)
def test_growing_adds_the_margin_on_every_side(x: int, y: int, width: int, height: int, margin: int) -> None:
    grown = GridBox(x, y, x + width, y + height).grown(margin)
    assert (grown.width, grown.height) == (width + 2 * margin, height + 2 * margin)
    assert (grown.x0, grown.y1) == (x - margin, y + height + margin)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 99))
@settings(deadline=None)
def test_a_point_on_a_shared_edge_has_one_owner(x: float, y: float, edge: float) -> None:
    left, right = Box(0, 0, edge, 101), Box(edge, 0, 101, 101)
    assert left.contains(Point(x, y)) + right.contains(Point(x, y)) == 1


@pytest.mark.parametrize("mpp", [0.0, 0.049, 5.01, 352.8, -1.0, math.nan, math.inf])
def test_implausible_calibration_is_refused(mpp: float) -> None:
    with pytest.raises(ValueError, match="µm per pixel"):
        Mpp.square(mpp)


def test_the_coarser_side_counts() -> None:
    assert Mpp(0.25, 0.5).coarser == 0.5


@pytest.mark.parametrize("make", [lambda: Box(1, 0, 0, 1), lambda: GridBox(0, 5, 1, 4), lambda: Box(0, math.nan, 1, 1)])
def test_boxes_that_run_backwards_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="upper left"):
        make()


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, -1)])
def test_empty_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Size(width, height)


def test_a_grid_pixel_has_a_size() -> None:
    with pytest.raises(ValueError, match="positive size"):
        Grid(0.0, Mpp.square(0.5))
