"""The plan of tiles: one owner for each place, nothing of the tissue left out."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.geometry import Box, Grid, Mpp, Size
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.plan import CELL_RADIUS_UM, TileOrder, plan_tiles

Case = tuple[TissueMap, Grid, Size]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return the tissue of a slide of random size and calibration, and the network's grid."""
    mpp = Mpp(draw(st.floats(0.2, 0.55)), draw(st.floats(0.2, 0.55)))
    size = Size(draw(st.integers(20, 6000)), draw(st.integers(20, 6000)))
    coarse = Grid(draw(st.floats(6, 40)), mpp)
    extent = coarse.extent(size)
    density = draw(st.floats(0, 0.2))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    fragments = (rng.random((extent.height, extent.width)) < density).astype(np.int16)
    return TissueMap(fragments, coarse), Grid(0.5, mpp), size


tile_sizes = st.sampled_from([128, 256, 512, 1024])


@given(cases(), tile_sizes, st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_every_place_of_tissue_has_exactly_one_owner(case: Case, tile_px: int, seed: int) -> None:
    tissue, grid, size = case
    plan = plan_tiles(tissue, grid, size, tile_px=tile_px)
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, size.width, 400), rng.uniform(0, size.height, 400)
    # Half of the places lie just outside tissue, as the centre of a cell at its edge may.
    near = rng.uniform(-1, 1, (2, 400)) * (np.arange(400) % 2) * CELL_RADIUS_UM * 0.999
    on_tissue = tissue.fragment_at(x + near[0] / grid.mpp.x, y + near[1] / grid.mpp.y) > 0
    owners = np.zeros(400, np.int64)
    for tile in plan.tiles:
        column, row = x / grid.scale_x, y / grid.scale_y
        core = tile.core
        owners += (core.x0 <= column) & (column < core.x1) & (core.y0 <= row) & (row < core.y1)
    assert (owners <= 1).all()
    assert (owners[on_tissue] == 1).all()


@given(cases(), tile_sizes)
@settings(deadline=None, max_examples=40)
def test_the_areas_of_the_cores_add_up_to_all_tissue_within_the_lattice(case: Case, tile_px: int) -> None:
    tissue, grid, size = case
    plan = plan_tiles(tissue, grid, size, tile_px=tile_px)
    extent = grid.extent(size)
    right = -(-extent.width // plan.tile_px) * plan.tile_px * grid.scale_x
    lower = -(-extent.height // plan.tile_px) * plan.tile_px * grid.scale_y
    total = sum(tissue.area_in(grid.to_l0(tile.core)) for tile in plan.tiles)
    assert total == pytest.approx(tissue.area_in(Box(0, 0, right, lower)), rel=1e-9, abs=1e-6)


@given(cases(), tile_sizes, st.sampled_from([0, 16, 32, 64]))
@settings(deadline=None, max_examples=40)
def test_tiles_are_alike_and_lie_on_the_lattice(case: Case, tile_px: int, margin_px: int) -> None:
    tissue, grid, size = case
    plan = plan_tiles(tissue, grid, size, tile_px=tile_px, margin_px=margin_px)
    assert plan.tile_px <= tile_px
    for tile in plan.tiles:
        assert (tile.core.width, tile.core.height) == (plan.tile_px, plan.tile_px)
        assert tile.core.x0 % plan.tile_px == tile.core.y0 % plan.tile_px == 0
        assert tile.read == tile.core.grown(margin_px)
        assert all(edge % 16 == 0 for edge in (tile.read.x0, tile.read.y0, tile.read.x1, tile.read.y1))


@given(cases(), tile_sizes)
@settings(deadline=None, max_examples=30)
def test_the_order_changes_neither_tiles_nor_indices(case: Case, tile_px: int) -> None:
    tissue, grid, size = case
    by_rows = plan_tiles(tissue, grid, size, tile_px=tile_px).tiles
    assert [tile.index for tile in by_rows] == list(range(len(by_rows)))
    assert all((a.core.y0, a.core.x0) < (b.core.y0, b.core.x0) for a, b in pairwise(by_rows))
    orders: list[TileOrder] = ["columns", "reversed"]
    for order in orders:
        other = plan_tiles(tissue, grid, size, tile_px=tile_px, order=order).tiles
        assert sorted(other, key=lambda tile: tile.index) == list(by_rows)


def whole(width: int, height: int, mpp: float = 0.25) -> Case:
    size, coarse = Size(width, height), Grid(4.0, Mpp.square(mpp))
    extent = coarse.extent(size)
    return TissueMap(np.ones((extent.height, extent.width), np.int16), coarse), Grid(0.5, Mpp.square(mpp)), size


def test_a_slide_smaller_than_a_tile_gets_one_smaller_tile() -> None:
    tissue, grid, size = whole(512, 300)
    plan = plan_tiles(tissue, grid, size)
    assert plan.tile_px == 256
    assert [tile.core.width for tile in plan.tiles] == [256]
    tissue, grid, size = whole(514, 300)
    assert plan_tiles(tissue, grid, size).tile_px == 320


def test_a_slide_without_tissue_has_no_tiles() -> None:
    empty = TissueMap(np.zeros((10, 10), np.int16), Grid(4.0, Mpp.square(0.25)))
    assert plan_tiles(empty, Grid(0.5, Mpp.square(0.25)), Size(160, 160)).tiles == ()


def test_tiles_away_from_tissue_are_left_out() -> None:
    fragments = np.zeros((100, 100), np.int16)
    fragments[:10, :10] = 1  # 40 µm of a plane of 400 µm
    tissue = TissueMap(fragments, Grid(4.0, Mpp.square(0.25)))
    plan = plan_tiles(tissue, Grid(0.5, Mpp.square(0.25)), Size(1600, 1600), tile_px=128)
    assert [(tile.core.x0, tile.core.y0) for tile in plan.tiles] == [(0, 0)]


@pytest.mark.parametrize("wrong", [{"tile_px": 1000}, {"tile_px": 0}, {"margin_px": 20}, {"margin_px": -16}])
def test_sizes_off_the_network_grid_are_refused(wrong: dict[str, Any]) -> None:
    tissue, grid, size = whole(100, 100)
    with pytest.raises(ValueError, match="multiples of 16"):
        plan_tiles(tissue, grid, size, **wrong)


def test_an_unknown_order_is_refused() -> None:
    tissue, grid, size = whole(100, 100)
    with pytest.raises(ValueError, match="unknown tile order"):
        plan_tiles(tissue, grid, size, order="random")  # type: ignore[arg-type]
