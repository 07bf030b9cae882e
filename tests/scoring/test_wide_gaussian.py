"""Sums under a wide kernel: those of the exact kernel, wherever cells and edges lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from ihc_quant.scoring.wide_gaussian import REACH_SPREADS, gaussian_sums


@given(
    sigma_px=st.floats(0.5, 60.0),
    size=st.tuples(st.integers(1, 160), st.integers(1, 160)),
    seed=st.integers(0, 99),
)
def test_sums_are_those_of_the_exact_kernel(sigma_px: float, size: tuple[int, int], seed: int) -> None:
    values = (np.random.default_rng(seed).random(size) < 0.05).astype(np.float32)
    exact = ndimage.gaussian_filter(values, sigma_px, mode="constant", truncate=REACH_SPREADS)
    # Where the kernel ends, a cell drops out of the exact sum at a hundredth of the kernel's height.
    ends = 0.012 / (2 * np.pi * sigma_px**2) if sigma_px > 1 else 1e-3
    np.testing.assert_allclose(gaussian_sums(values, sigma_px), exact, rtol=0.01, atol=float(0.01 * exact.max()) + ends)


@pytest.mark.parametrize("sigma_px", [6.0, 13.0, 133.0])
def test_density_of_even_cells_does_not_fall_towards_the_edge(sigma_px: float) -> None:
    cells = np.zeros((300, 240), np.float32)
    cells[1::3, 1::3] = 9
    density = gaussian_sums(cells, sigma_px) / gaussian_sums(np.ones_like(cells), sigma_px)
    assert np.abs(density - 1).max() < 0.02


def test_a_kernel_within_a_pixel_changes_nothing() -> None:
    values = np.eye(5, dtype=np.float32)
    assert np.array_equal(gaussian_sums(values, 0.2), values)
