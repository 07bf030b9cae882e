"""The hot spot: where it is painted, in tissue, and as dense as a plain count says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.scoring.hot_spot import HOT_SPOT_MM2, carry_hot_spot_error, find_hot_spot

SIDE_UM = (HOT_SPOT_MM2 * 1e6) ** 0.5
Places = tuple[NDArray[np.float64], NDArray[np.float64]]


def scattered(seed: int, cells: int, width_um: float, height_um: float) -> Places:
    rng = np.random.default_rng(seed)
    return rng.random(cells) * width_um, rng.random(cells) * height_um


def all_positive(places: Places) -> NDArray[np.bool_]:
    return np.ones(len(places[0]), np.bool_)


@given(st.integers(0, 10_000), st.floats(0, 2400), st.floats(0, 1900))
@settings(max_examples=10, deadline=None)
def test_a_painted_hot_spot_is_found_where_it_is(seed: int, left: float, top: float) -> None:
    x, y = scattered(seed, 3000, 3000, 2500)
    more_x, more_y = scattered(seed + 1, 600, SIDE_UM, SIDE_UM)
    x, y = np.concatenate([x, left + more_x]), np.concatenate([y, top + more_y])
    tissue = np.ones((250, 300), np.bool_)
    found = find_hot_spot(x, y, np.ones(len(x), np.bool_), tissue, 10.0, min_tissue_share=1.0)
    assert found.x_um == pytest.approx(left, abs=40)
    assert found.y_um == pytest.approx(top, abs=40)


@given(st.integers(0, 10_000), st.integers(1, 400), st.floats(0.1, 1.0))
@settings(max_examples=25, deadline=None)
def test_cells_and_tissue_of_the_window_are_those_of_a_plain_count(seed: int, cells: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    tissue = np.kron(rng.random((8, 9)) < 0.7, np.ones((16, 16))) > 0
    x, y = scattered(seed, cells, 9 * 16 * 10, 8 * 16 * 10)
    positive = rng.random(cells) < 0.5
    found = find_hot_spot(x, y, positive, tissue, 10.0, min_tissue_share=share)
    if found.x_um is None or found.y_um is None:
        return
    inside = (x >= found.x_um) & (x < found.x_um + SIDE_UM) & (y >= found.y_um) & (y < found.y_um + SIDE_UM)
    assert found.positive == (inside & positive).sum()
    along_x = np.clip(np.minimum(np.arange(1, 145) * 10, found.x_um + SIDE_UM)
                      - np.maximum(np.arange(144) * 10, found.x_um), 0, None)  # fmt: skip
    along_y = np.clip(np.minimum(np.arange(1, 129) * 10, found.y_um + SIDE_UM)
                      - np.maximum(np.arange(128) * 10, found.y_um), 0, None)  # fmt: skip
    assert found.tissue_um2 == pytest.approx(along_y @ tissue @ along_x, abs=1e-2)
    assert found.tissue_um2 >= share * SIDE_UM**2 - 0.01
    assert found.density_per_mm2.value == pytest.approx(found.positive / found.tissue_um2 * 1e6)


def test_the_hot_spot_is_at_least_as_dense_as_even_tissue() -> None:
    x, y = scattered(4, 8000, 4000, 2000)
    found = find_hot_spot(x, y, np.ones(8000, np.bool_), np.ones((200, 400), np.bool_), 10.0)
    assert found.density_per_mm2.value is not None
    assert found.density_per_mm2.value > 1000
    (interval,) = found.density_per_mm2.intervals
    assert interval.low < 1000 < found.density_per_mm2.value < interval.high


def test_a_fringe_of_tissue_is_no_hot_spot() -> None:
    tissue = np.zeros((200, 200), np.bool_)
    tissue[:, :100] = True
    x, y = scattered(1, 2000, 1000, 2000)
    fringe_x, fringe_y = 995 + 5 * np.random.default_rng(2).random(60), np.linspace(900, 950, 60)
    x, y = np.concatenate([x, fringe_x]), np.concatenate([y, fringe_y])
    found = find_hot_spot(x, y, np.ones(len(x), np.bool_), tissue, 10.0)
    assert found.tissue_um2 >= 0.75 * SIDE_UM**2 - 0.01
    assert found.x_um is not None
    assert found.x_um <= 1000 - 0.74 * SIDE_UM


def test_too_little_tissue_gives_a_reason() -> None:
    strip = np.zeros((300, 300), np.bool_)
    strip[:, 100:120] = True
    places = scattered(1, 100, 200, 3000)
    found = find_hot_spot(places[0] + 1000, places[1], all_positive(places), strip, 10.0)
    assert found.density_per_mm2.value is None
    assert found.density_per_mm2.reason == "no window of 0.2 mm² is tissue to 75 % or more"
    assert find_hot_spot(*places, all_positive(places), np.zeros((3, 3), np.bool_), 10.0).x_um is None
    wide_enough = find_hot_spot(places[0] + 1000, places[1], all_positive(places), strip, 10.0, min_tissue_share=0.4)
    assert wide_enough.density_per_mm2.value is not None


def test_no_cells_give_a_reason_and_no_positive_cell_gives_zero() -> None:
    tissue = np.ones((200, 200), np.bool_)
    none = np.empty(0)
    assert "no cells" in find_hot_spot(none, none, np.empty(0, np.bool_), tissue, 10.0).density_per_mm2.reason
    places = scattered(1, 100, 2000, 2000)
    found = find_hot_spot(*places, np.zeros(100, np.bool_), tissue, 10.0)
    assert found.density_per_mm2.value == 0
    assert found.x_um is None


def test_of_equal_windows_the_first_is_taken() -> None:
    tissue = np.ones((300, 300), np.bool_)
    x, y = np.array([500.0, 2500.0]), np.array([500.0, 2500.0])
    found = find_hot_spot(x, y, np.ones(2, np.bool_), tissue, 10.0)
    assert found.positive == 1
    assert found.x_um is not None
    assert found.x_um < 500


@pytest.mark.parametrize("change", [{"window_mm2": 0}, {"min_tissue_share": 0}, {"min_tissue_share": 1.1}])
def test_impossible_windows_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no window"):
        find_hot_spot(np.zeros(1), np.zeros(1), np.ones(1, np.bool_), np.ones((2, 2), np.bool_), 10.0, **change)
    with pytest.raises(ValueError, match="one place"):
        find_hot_spot(np.zeros(1), np.zeros(2), np.ones(1, np.bool_), np.ones((2, 2), np.bool_), 10.0)


def test_the_interval_allows_for_the_choice_of_the_window() -> None:
    """Even tissue of 500 cells/mm², 60 times: no window is truly denser, and the densest found always seems so."""
    tissue = np.ones((150, 150), np.bool_)
    held, seems_denser = 0, 0
    for seed in range(60):
        cells = np.random.default_rng(seed).poisson(500 * 2.25)
        x, y = scattered(seed, cells, 1500, 1500)
        density = find_hot_spot(x, y, np.ones(cells, np.bool_), tissue, 10.0, seed=seed).density_per_mm2
        (interval,) = density.intervals
        held += interval.low <= 500 <= interval.high
        seems_denser += density.value is not None and density.value > 500
        assert density.value is not None
        assert interval.low <= density.value <= interval.high
    assert held >= 57
    assert seems_denser == 60


@given(st.integers(0, 10_000), st.integers(0, 40))
@settings(max_examples=15, deadline=None)
def test_the_interval_holds_the_figure_and_neither_order_nor_run_changes_it(seed: int, cells: int) -> None:
    x, y = scattered(seed, 200, 900, 900)
    positive = np.arange(200) < cells
    tissue = np.ones((90, 90), np.bool_)
    spot = find_hot_spot(x, y, positive, tissue, 10.0)
    order = np.random.default_rng(seed).permutation(200)
    assert spot == find_hot_spot(x[order], y[order], positive[order], tissue, 10.0)
    (interval,) = spot.density_per_mm2.intervals
    assert 0 <= interval.low <= (spot.density_per_mm2.value or 0) < interval.high
    assert spot.positive <= spot.cells <= 200


def test_a_hot_spot_carries_the_networks_error_of_its_own_cells() -> None:
    count = LogCountError(26, 26, 10, 1200, 0.0, 0.2)
    error = MeasurementError("own", "CCR4", "skin", "by image", 26, 26, 0.0, 4.0, 900, 900, 0.95, 0.97, count, count)
    x, y = scattered(3, 2000, 1000, 1000)
    for positive in (np.arange(2000) < 800, np.zeros(2000, np.bool_)):
        spot = find_hot_spot(x, y, positive, np.ones((100, 100), np.bool_), 10.0)
        carried = carry_hot_spot_error(spot, "CCR4", (error,), level=0.95, draws=2000, seed=1)
        sampling, both = carried.density_per_mm2.intervals
        assert both.low <= sampling.low <= sampling.high < both.high
        assert both.reliable
        unknown = carry_hot_spot_error(spot, "CCR4", None, level=0.95, draws=2000, seed=1)
        assert unknown == spot
    bare = find_hot_spot(np.empty(0), np.empty(0), np.empty(0, np.bool_), np.ones((9, 9), np.bool_), 10.0)
    assert carry_hot_spot_error(bare, "CCR4", (error,), level=0.95, draws=2000, seed=1) == bare
