"""Limits of agreement against another program and by simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import DescrStatsW
from statsmodels.tools import add_constant

from ihc_quant.domain.score import Estimate
from ihc_quant.evaluation.bland_altman import difference_limits


def limits_of(estimate: Estimate) -> tuple[float, float]:
    return estimate.intervals[0].low, estimate.intervals[0].high


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(11)
    one = random.uniform(0, 80, 30)
    return one, 0.9 * one + random.normal(2, 5, 30)


def test_bias_and_slope_are_those_of_another_program(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = pair
    result = difference_limits(one, other, "%")
    difference = DescrStatsW(one - other)
    assert result.bias.value == pytest.approx(difference.mean)
    assert limits_of(result.bias) == pytest.approx(difference.tconfint_mean())
    line = OLS(one - other, add_constant((one + other) / 2)).fit()
    assert result.slope.value == pytest.approx(line.params[1])
    assert limits_of(result.slope) == pytest.approx(tuple(line.conf_int()[1]))
    assert result.bias.unit == "%"


def test_limits_by_the_printed_formula(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result = difference_limits(*pair)
    difference = pair[0] - pair[1]
    s, n = difference.std(ddof=1), len(difference)
    assert result.high.value == pytest.approx(difference.mean() + 1.959964 * s, rel=1e-6)
    half = stats.t.ppf(0.975, n - 1) * s * np.sqrt(1 / n + 1.959964**2 / (2 * (n - 1)))
    assert limits_of(result.high) == pytest.approx((result.high.value - half, result.high.value + half), rel=1e-6)


def test_interval_of_a_limit_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(800):
        one = random.normal(0, 10, 40)
        low, high = limits_of(difference_limits(one, one - random.normal(1, 2, 40)).high)
        held += low <= 1 + 1.959964 * 2 <= high
    assert abs(held / 800 - 0.95) < 0.03


def test_readers_the_other_way_round_turn_the_limits_round(pair: tuple[np.ndarray, np.ndarray]) -> None:
    there, back = difference_limits(*pair), difference_limits(pair[1], pair[0])
    assert there.high.value == pytest.approx(-(back.low.value or 0))


def test_too_few_targets_and_no_range() -> None:
    two = difference_limits(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert two.bias.value is None
    assert "fewer than 3" in two.low.reason
    flat = difference_limits(np.ones(4), np.ones(4))
    assert (flat.low.value, flat.bias.value, flat.high.value) == (0, 0, 0)
    assert flat.slope.value is None
