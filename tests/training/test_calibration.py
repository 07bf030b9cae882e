"""Calibration: known scalings are recovered, and probabilities that are right are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.training.calibration import MatchedCalls, PlattScaling, calibration_error, fit_platt, reliability_bins


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-z)))


def drawn_calls(slope: float, intercept: float, n: int = 40_000) -> MatchedCalls:
    """Return cells whose true probability is sigmoid(slope · logit + intercept) of what is stated."""
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, n)
    return MatchedCalls(sigmoid(logit), rng.random(n) < sigmoid(slope * logit + intercept))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.5, -1.0), (0.5, 0.7)])
def test_a_known_scaling_is_recovered(slope: float, intercept: float) -> None:
    calls = drawn_calls(slope, intercept)
    fitted = fit_platt(calls)
    assert fitted.slope == pytest.approx(slope, abs=0.08)
    assert fitted.intercept == pytest.approx(intercept, abs=0.08)
    logit = np.log(calls.p_positive / (1 - calls.p_positive))
    after = MatchedCalls(sigmoid(fitted.slope * logit + fitted.intercept), calls.positive)
    error = calibration_error(after)
    assert error is not None
    assert error < 0.015


def test_the_error_of_a_constant_overstatement_is_that_overstatement() -> None:
    calls = drawn_calls(1, 0)
    right, wrong = calibration_error(calls), calibration_error(MatchedCalls(calls.p_positive * 0.5, calls.positive))
    assert right is not None
    assert wrong is not None
    assert right < 0.015
    assert wrong == pytest.approx(0.25, abs=0.02)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_the_error_lies_between_nothing_and_one(cells: list[tuple[float, bool]], bins: int) -> None:
    error = calibration_error(
        MatchedCalls(np.array([p for p, _ in cells]), np.array([call for _, call in cells])), bins
    )
    assert error is not None
    assert 0 <= error <= 1


@pytest.mark.parametrize("calls", [[], [True, True], [False]])
def test_cells_of_one_call_change_nothing(calls: list[bool]) -> None:
    few = MatchedCalls(np.full(len(calls), 0.3), np.array(calls, np.bool_))
    assert fit_platt(few) == PlattScaling(1.0, 0.0)


def test_cells_that_separate_perfectly_get_a_finite_slope() -> None:
    fitted = fit_platt(MatchedCalls(np.repeat([0.1, 0.9], 20), np.repeat([False, True], 20)))
    assert 1 < fitted.slope < 5
    assert abs(fitted.intercept) < 0.1


def test_no_cells_have_no_error() -> None:
    assert calibration_error(MatchedCalls.concatenate([])) is None


@given(*[st.floats(-3, 3)] * 5)
def test_one_scaling_after_another_is_one_scaling(a: float, b: float, c: float, d: float, z: float) -> None:
    both = PlattScaling(a, b).then(PlattScaling(c, d))
    assert both.slope * z + both.intercept == pytest.approx(c * (a * z + b) + d, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_bins_hold_every_cell_once_in_order(cells: list[tuple[float, bool]]) -> None:
    calls = MatchedCalls(np.array([p for p, _ in cells]), np.array([call for _, call in cells], np.bool_))
    bins = reliability_bins(calls)
    assert sum(count for _, _, count in bins) == len(cells)
    assert [p for p, _, _ in bins] == sorted(p for p, _, _ in bins)
    assert max((count for _, _, count in bins), default=0) - min((count for _, _, count in bins), default=0) <= 1
    assert sum(share * count for _, share, count in bins) == pytest.approx(sum(call for _, call in cells))
