"""Painted maps, whose cells are known, to cells."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.cells.find import CellSettings, find_cells
from ihc_quant.cells.peaks import mean_around
from ihc_quant.domain.cell_table import CellTable, scalar_columns
from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.stain import REFERENCE_DAB, REFERENCE_HEMATOXYLIN, StainMatrix
from ihc_quant.domain.tile import Tile, TileImage

GRID = Grid(0.5, Mpp.square(0.25))
STAINS = StainMatrix(REFERENCE_HEMATOXYLIN, (REFERENCE_DAB,), (255.0, 255.0, 255.0), "reference")
SETTINGS = CellSettings(hole_od=0.0)
"""Nuclei are painted without hematoxylin here: inside a ring of stain they would be holes."""
MARGIN = 48


def dab_rgb(density: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colour of that much DAB on white glass."""
    vector = np.array([REFERENCE_DAB.red, REFERENCE_DAB.green, REFERENCE_DAB.blue])
    return np.asarray(np.round(255 * 10 ** -(density[..., None] * vector)), np.uint8)


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> NDArray[np.bool_]:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows + 0.5 - y) ** 2 + (cols + 0.5 - x) ** 2 <= radius**2)


def bump(shape: tuple[int, int], y: float, x: float, sigma: float = 3.0) -> NDArray[np.float32]:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((rows + 0.5 - y) ** 2 + (cols + 0.5 - x) ** 2) / (2 * sigma**2)).astype(np.float32)


def painted(
    shape: tuple[int, int], cells: list[tuple[float, float, float]], od: float = 0.0
) -> tuple[CellMaps, NDArray[np.uint8]]:
    """Paint discs (y, x, radius in px) with a peak each, and DAB over the nuclei."""
    centre, extent, density = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape)
    for y, x, radius in cells:
        np.maximum(centre, bump(shape, y, x), out=centre)
        inside = disc(shape, y, x, radius)
        extent[inside] = 1
        density[inside] = od
    return CellMaps(centre, extent, np.full(shape, 0.25, np.float32)), dab_rgb(density)


def everywhere(x_l0: NDArray[np.float64], y_l0: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.ones(len(x_l0), np.int16)


def cells_in(
    maps: CellMaps, rgb: NDArray[np.uint8], *, index: int = 0, core: GridBox | None = None, at: tuple[int, int] = (0, 0)
) -> CellTable:
    """Run one tile whose read box starts at ``at`` (x, y)."""
    height, width = maps.centre.shape
    read = GridBox(at[0], at[1], at[0] + width, at[1] + height)
    return find_cells(maps, TileImage(Tile(index, core or read, read), rgb), STAINS, GRID, everywhere, SETTINGS)


def polygon_area(xy: NDArray[np.int16]) -> float:
    x, y = xy[:, 0] / 8, xy[:, 1] / 8
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def test_a_hole_in_stained_tissue_is_no_cell() -> None:
    maps, rgb = painted((60, 60), [(20.0, 20.0, 6.0), (40.0, 40.0, 6.0)])
    stained = dab_rgb(np.where(disc((60, 60), 20.0, 20.0, 6.0), 0.02, 0.4))
    read = GridBox(0, 0, 60, 60)
    table = find_cells(maps, TileImage(Tile(0, read, read), stained), STAINS, GRID, everywhere, CellSettings())
    assert table.x_um.tolist() == pytest.approx([20.0], abs=0.01)
    on_glass = find_cells(maps, TileImage(Tile(0, read, read), rgb), STAINS, GRID, everywhere, CellSettings())
    assert len(on_glass) == 2, "pale alone is no hole"


def test_discs_are_found_with_their_area_place_and_density() -> None:
    cells = [(20.0, 30.0, 6.0), (20.5, 60.5, 7.0), (70.0, 40.0, 9.0)]
    maps, rgb = painted((100, 100), cells, od=0.5)
    table = cells_in(maps, rgb)
    assert len(table) == 3
    for row, (y, x, radius) in enumerate(cells):
        assert table.x_um[row] == pytest.approx(x * 0.5, abs=0.01)
        assert table.y_um[row] == pytest.approx(y * 0.5, abs=0.01)
        assert table.area_um2[row] == pytest.approx(disc((100, 100), y, x, radius).sum() * 0.25)
    np.testing.assert_allclose(table.x_l0, table.x_um / 0.25)
    np.testing.assert_allclose(table.od_nucleus, 0.5, atol=0.01)
    np.testing.assert_allclose(table.od_nucleus_p90, 0.5, atol=0.01)
    np.testing.assert_allclose(table.od_ring, 0, atol=0.01)
    assert ((table.od_cell > table.od_ring) & (table.od_cell < table.od_nucleus)).all()
    np.testing.assert_allclose(table.p_positive, 0.25)


def test_an_outline_encloses_the_pixels_of_its_nucleus() -> None:
    maps, rgb = painted((80, 80), [(30.3, 30.8, 6.4), (33.0, 44.0, 7.7), (60.0, 20.0, 4.0)])
    table = cells_in(maps, rgb)
    for row in range(len(table)):
        xy = table.outline_xy[table.outline_start[row] : table.outline_start[row + 1]]
        assert polygon_area(xy) * 0.25 == pytest.approx(float(table.area_um2[row]))
        steps = np.diff(np.vstack([xy, xy[:1]]).astype(int), axis=0)
        assert ((steps == 0).sum(axis=1) == 1).all(), "each side runs along one axis"
        assert ((steps[:, 0] == 0) != (np.roll(steps[:, 0], 1) == 0)).all(), "corners stand where the border turns"


def test_a_ring_of_stain_is_a_complete_membrane_and_half_a_ring_is_half_of_one() -> None:
    shape = (60, 60)
    maps, _ = painted(shape, [(30.0, 30.0, 7.0)])
    band = disc(shape, 30, 30, 11.0) & ~disc(shape, 30, 30, 5.0)
    whole = cells_in(maps, dab_rgb(np.where(band, 0.5, 0.0)))
    half = cells_in(maps, dab_rgb(np.where(band & (np.arange(60) >= 30)[None, :], 0.5, 0.0)))
    none = cells_in(maps, dab_rgb(np.zeros(shape)))
    assert (whole.membrane_completeness[0], half.membrane_completeness[0], none.membrane_completeness[0]) == (1, 0.5, 0)
    assert whole.od_ring[0] == pytest.approx(0.5, abs=0.01)


def test_two_touching_cells_are_told_apart_and_neither_measures_the_other() -> None:
    shape = (60, 80)
    maps, _ = painted(shape, [(30.0, 30.0, 8.0), (30.0, 44.0, 8.0)])
    rgb = dab_rgb(np.where(np.arange(80)[None, :] >= 37, 0.6, 0.0) * np.ones(shape))
    table = cells_in(maps, rgb)
    assert len(table) == 2
    left = int(np.argmin(table.x_um))
    assert table.od_nucleus[left] == pytest.approx(0, abs=0.02)
    assert table.od_nucleus[1 - left] == pytest.approx(0.6, abs=0.02)


def test_a_cell_without_extent_gets_the_default_disc() -> None:
    shape = (60, 60)
    maps = CellMaps(bump(shape, 30.5, 30.5), np.zeros(shape, np.float32), np.ones(shape, np.float32))
    table = cells_in(maps, dab_rgb(np.zeros(shape)))
    assert len(table) == 1
    assert table.area_um2[0] == pytest.approx(np.pi * 3**2, rel=0.1)
    assert table.p_positive[0] == 1


def test_cells_outside_tissue_and_empty_maps_give_no_rows() -> None:
    maps, rgb = painted((60, 60), [(30.0, 30.0, 7.0)])
    box = GridBox(0, 0, 60, 60)
    image = TileImage(Tile(0, box, box), rgb)
    outside = find_cells(maps, image, STAINS, GRID, lambda x, y: np.zeros(len(x), np.int16), SETTINGS)
    assert len(outside) == 0
    zero = np.zeros((60, 60), np.float32)
    assert len(cells_in(CellMaps(zero, zero, zero), rgb)) == 0


def random_maps(seed: int, shape: tuple[int, int]) -> tuple[CellMaps, NDArray[np.uint8]]:
    """Return crowded maps with plateaus: values are rounded so that equal heights occur."""
    rng = np.random.default_rng(seed)
    count = shape[0] * shape[1] // 300
    centre, extent = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for y, x in rng.uniform((0, 0), shape, (count, 2)):
        centre = np.maximum(centre, np.float32(rng.uniform(0.2, 1)) * bump(shape, y, x))
        extent = np.maximum(extent, np.float32(rng.uniform(0.3, 1)) * bump(shape, y, x, rng.uniform(3, 7)))
    positivity = rng.random(shape, np.float32)
    maps = CellMaps(np.round(centre, 1), np.round(extent * 1.3, 2).clip(0, 1), positivity)
    return maps, rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def rows_by_place(table: CellTable) -> CellTable:
    return table.take(np.lexsort((table.x_um, table.y_um)))


def assert_same(one: CellTable, other: CellTable) -> None:
    assert len(one) == len(other)
    for column in scalar_columns():
        if column.name != "tile":
            np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name), column.name)
    np.testing.assert_array_equal(one.outline_start, other.outline_start)
    np.testing.assert_array_equal(one.outline_xy, other.outline_xy)


@given(seed=st.integers(0, 2**32 - 1), core_px=st.sampled_from([37, 64, 90]), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_cutting_the_maps_into_tiles_in_any_order_changes_nothing(seed: int, core_px: int, order: object) -> None:
    shape = (150, 170)
    maps, rgb = random_maps(seed, shape)
    height, width = shape
    boxes = [
        GridBox(x, y, min(x + core_px, width), min(y + core_px, height))
        for y in range(0, height, core_px)
        for x in range(0, width, core_px)
    ]
    order.shuffle(boxes)  # type: ignore[attr-defined]
    tables = []
    for index, core in enumerate(boxes):
        y0, x0 = max(core.y0 - MARGIN, 0), max(core.x0 - MARGIN, 0)
        cut = (slice(y0, min(core.y1 + MARGIN, height)), slice(x0, min(core.x1 + MARGIN, width)))
        part = CellMaps(maps.centre[cut], maps.extent[cut], maps.positivity[cut])
        tables.append(cells_in(part, rgb[cut], index=index, core=core, at=(x0, y0)))
    assert_same(rows_by_place(CellTable.concatenate(tables)), rows_by_place(cells_in(maps, rgb)))


@given(seed=st.integers(0, 2**32 - 1), shift=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
@settings(max_examples=5, deadline=None)
def test_a_shift_of_the_tile_shifts_the_cells_and_changes_nothing_else(seed: int, shift: tuple[int, int]) -> None:
    maps, rgb = random_maps(seed, (90, 90))
    here, there = cells_in(maps, rgb), cells_in(maps, rgb, at=shift)
    np.testing.assert_allclose(there.x_um - here.x_um, shift[0] * 0.5, atol=1e-6)
    np.testing.assert_allclose(there.y_um - here.y_um, shift[1] * 0.5, atol=1e-6)
    for name in ("area_um2", "od_nucleus", "od_ring_p90", "p_positive", "membrane_completeness"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="centre_threshold"):
        CellSettings(centre_threshold=0.0)
    with pytest.raises(ValueError, match="ring_um"):
        CellSettings(ring_um=0.0)


def test_a_peak_without_a_nucleus_around_it_is_no_cell_where_presence_is_asked_for() -> None:
    maps, rgb = painted((60, 60), [(20.0, 20.0, 6.0), (40.0, 40.0, 6.0)])
    maps.extent[30:] *= np.float32(0.4)
    read = GridBox(0, 0, 60, 60)
    image = TileImage(Tile(0, read, read), rgb)

    def found(presence: float) -> list[float]:
        asked = CellSettings(hole_od=0.0, presence_threshold=presence)
        table = find_cells(maps, image, STAINS, GRID, everywhere, asked)
        return [float(y) for y in table.y_um]

    assert len(found(0.0)) == len(found(0.4)) == 2
    assert found(0.41) == pytest.approx([10.0], abs=0.01)


def test_presence_is_the_mean_of_a_disc_and_knows_no_tile() -> None:
    rng = np.random.default_rng(3)
    values = rng.random((40, 50)).astype(np.float32)
    row, col = np.array([0, 20, 39], np.int32), np.array([0, 25, 49], np.int32)
    means = mean_around(values, row, col, 3.0)
    rows, cols = np.mgrid[:40, :50]
    for mean, y, x in zip(means, row, col, strict=True):
        assert mean == pytest.approx(values[(rows - y) ** 2 + (cols - x) ** 2 <= 9].mean(), rel=1e-6)
    assert mean_around(values[10:], row[1:2] - 10, col[1:2], 3.0) == means[1:2]
