"""Density over tissue."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.report.density_map import positive_density, round_up, viridis


@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_even_cells_give_an_even_density_up_to_the_edge(cells: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 50), bool)
    mask[5:30, 8:44] = True
    rows, columns = np.nonzero(mask)
    x = np.repeat(columns, cells) + rng.uniform(0, 1, len(columns) * cells)
    y = np.repeat(rows, cells) + rng.uniform(0, 1, len(rows) * cells)
    density = positive_density(x, y, mask, pixel_um=20.0, sigma_um=60.0)
    # One pixel is 400 µm², so one cell in each is 2,500 a mm².
    assert density[mask] == pytest.approx(2500.0 * cells, rel=1e-3)
    assert not density[~mask].any()


def test_a_lone_cell_is_spread_and_kept() -> None:
    mask = np.ones((101, 101), bool)
    density = positive_density(np.array([50.5]), np.array([50.5]), mask, pixel_um=10.0, sigma_um=80.0)
    assert density.sum() * 1e-4 == pytest.approx(1.0, rel=1e-3)
    # The peak of a two-dimensional Gaussian is 1 / (2 π σ²).
    assert density.max() == pytest.approx(1e6 / (2 * np.pi * 80.0**2), rel=0.02)
    assert density.argmax() == 50 * 101 + 50


def test_cells_off_the_picture_or_the_tissue_do_not_count() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10] = True
    x, y = np.array([-0.1, 20.0, 5.0, 5.0]), np.array([5.0, 5.0, -3.0, 15.0])
    assert not positive_density(x, y, mask, 10.0, 20.0).any()


@given(st.floats(1e-6, 1e9))
def test_the_scale_ends_at_a_round_number_just_above(value: float) -> None:
    end = round_up(value)
    assert value * (1 - 1e-8) <= end <= 1.34 * value


def test_colours_grow_lighter_with_density() -> None:
    colours = viridis(np.arange(256, dtype=np.uint8)[np.newaxis])[0].astype(np.float64)
    brightness = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > -0.5).all()
    assert brightness[-1] - brightness[0] > 150
