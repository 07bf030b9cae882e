"""Fragments of a slide and areas of boxes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Box, Grid, Mpp
from ihc_quant.tissue.map import TissueMap

GRID = Grid(pixel_um=4.0, mpp=Mpp(0.25, 0.3))


def numbered(pattern: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the pattern with its values renumbered without gaps."""
    return (
        np.unique(np.concatenate([[0], pattern.ravel()]), return_inverse=True)[1][1:]
        .reshape(pattern.shape)
        .astype(np.int16)
    )


patterns = hnp.arrays(np.int16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)).map(
    numbered
)
maps = st.builds(TissueMap, patterns, st.just(GRID))
cuts = st.lists(st.floats(-50, 250), max_size=4)


@given(maps, cuts, cuts)
@settings(deadline=None)
def test_areas_of_a_partition_add_up_to_the_whole(tissue: TissueMap, cuts_x: list[float], cuts_y: list[float]) -> None:
    xs, ys = [-1e3, *sorted(cuts_x), 1e4], [-1e3, *sorted(cuts_y), 1e4]
    boxes = [Box(x0, y0, x1, y1) for x0, x1 in pairwise(xs) for y0, y1 in pairwise(ys)]
    assert sum(tissue.area_in(box) for box in boxes) == pytest.approx(tissue.area_um2(), abs=1e-6)
    assert sum(tissue.fragment_areas_um2()) == pytest.approx(tissue.area_um2(), abs=1e-6)


@given(maps, st.floats(-40, 200), st.floats(-40, 200), st.floats(0, 150), st.floats(0, 150))
@settings(deadline=None)
def test_the_area_of_a_box_is_the_overlap_with_each_pixel(
    tissue: TissueMap, x: float, y: float, width: float, height: float
) -> None:
    box = Box(x, y, x + width, y + height)
    wanted = 0.0
    for row, column in zip(*np.nonzero(tissue.mask), strict=True):
        across = min(box.x1, (column + 1) * GRID.scale_x) - max(box.x0, column * GRID.scale_x)
        down = min(box.y1, (row + 1) * GRID.scale_y) - max(box.y0, row * GRID.scale_y)
        wanted += max(0.0, across) * max(0.0, down) * GRID.mpp.x * GRID.mpp.y
    assert tissue.area_in(box) == pytest.approx(wanted, abs=1e-6)


@given(maps)
@settings(deadline=None)
def test_every_place_of_a_pixel_has_its_fragment(tissue: TissueMap) -> None:
    rows, columns = np.indices(tissue.fragments.shape)
    for shift in (0.0, 0.5, 0.999):
        x = np.asarray((columns.ravel() + shift) * GRID.scale_x + 1e-9, np.float64)
        y = np.asarray((rows.ravel() + shift) * GRID.scale_y + 1e-9, np.float64)
        assert np.array_equal(tissue.fragment_at(x, y), tissue.fragments.ravel())


def test_places_outside_hold_no_tissue() -> None:
    tissue = TissueMap(np.ones((3, 3), np.int16), GRID)
    x = np.array([-1e-9, 0.0, 3 * GRID.scale_x, np.inf, 1.0])
    y = np.array([1.0, 0.0, 1.0, 1.0, -5.0])
    assert tissue.fragment_at(x, y).tolist() == [0, 1, 0, 0, 0]
    assert tissue.area_in(Box(-100, -100, -50, -50)) == 0
    assert tissue.fragment_at(np.empty(0), np.empty(0)).shape == (0,)


def test_areas_are_in_square_micrometres() -> None:
    fragments = np.array([[1, 1, 0], [0, 0, 2]], np.int16)
    tissue = TissueMap(fragments, GRID)
    assert tissue.area_um2() == 48.0
    assert tissue.fragment_areas_um2() == (32.0, 16.0)
    assert tissue.mask.tolist() == [[True, True, False], [False, False, True]]


@pytest.mark.parametrize(
    "fragments",
    [np.ones((2, 2), np.int32), np.ones(4, np.int16), np.full((2, 2), -1, np.int16), np.full((2, 2), 2, np.int16)],
)
def test_a_map_that_is_not_numbered_is_refused(fragments: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="fragments are"):
        TissueMap(fragments, GRID)
