"""The band of uncertain calls: where calls are wrong too often, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.training.calibration import MatchedCalls
from ihc_quant.training.operating_point import QUICK_POINT, UNCERTAIN_ERROR, uncertain_band


def drawn(n: int, steepness: float) -> MatchedCalls:
    """Return calibrated cells; a steeper network is more often sure."""
    rng = np.random.default_rng(1)
    p = 1 / (1 + np.exp(-steepness * rng.normal(0, 2, n)))
    return MatchedCalls(p, rng.random(n) < p)


def test_calibrated_probabilities_are_uncertain_between_the_tolerated_error_and_its_complement() -> None:
    calls = drawn(40_000, 1)
    low, high = uncertain_band(calls, np.ones(len(calls)), 0.5)
    assert low == pytest.approx(UNCERTAIN_ERROR, abs=0.03)
    assert high == pytest.approx(1 - UNCERTAIN_ERROR, abs=0.03)


def test_a_network_that_tells_cells_apart_has_a_band_of_no_width() -> None:
    said = np.array([0.05, 0.1, 0.9, 0.95])
    assert uncertain_band(MatchedCalls(said, said > 0.5), np.ones(4), 0.6) == (0.6, 0.6)


def test_a_band_is_as_wide_as_the_errors_reach_whatever_is_stated() -> None:
    said = np.linspace(0.01, 0.99, 981)
    calls = MatchedCalls(said, np.random.default_rng(0).random(len(said)) < 0.5)
    low, high = uncertain_band(calls, np.ones(len(said)), 0.5)
    assert low < 0.05
    assert high > 0.95


def test_without_cells_the_band_is_that_of_calibrated_probabilities() -> None:
    assert uncertain_band(MatchedCalls.concatenate([]), np.empty(0), 0.4) == QUICK_POINT.uncertain


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.floats(0.3, 0.7).map(lambda x: round(x, 2)),
)
def test_the_threshold_is_in_the_band(cells: list[tuple[float, bool]], positive: float) -> None:
    calls = MatchedCalls(np.array([p for p, _ in cells]), np.array([call for _, call in cells]))
    low, high = uncertain_band(calls, np.ones(len(calls)), positive)
    assert 0 <= low <= positive <= high <= 1
