"""Lin's coefficient against worked examples and simulation."""

from math import atanh, sqrt, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.evaluation.concordance import concordance


def test_worked_by_hand() -> None:
    # Means 3 and 3.6; variances over n 2 and 2.64; covariance (−2·−2.6 + −1·−0.6 + 0 + 1·0.4 + 2·2.4) / 5 = 2.2.
    one, other = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 4, 4, 6])
    result = concordance(one, other)
    value = 2 * 2.2 / (2 + 2.64 + 0.36)
    assert value == pytest.approx(0.88)
    assert result.value == pytest.approx(0.88)
    # ρ² = 2.2² / (2 · 2.64) = 0.91667, u² = 0.36 / √5.28 = 0.156670; 1 − 0.88² = 0.2256.
    rho = 2.2 / sqrt(5.28)
    first = (1 - 0.9166667) * 0.7744 / (0.2256 * 0.9166667)
    second = 2 * 0.681472 * 0.12 * 0.156670 / (rho * 0.05089536)
    third = 0.59969536 * 0.156670**2 / (2 * 0.9166667 * 0.05089536)
    half = 1.959964 * sqrt((first + second - third) / 3)
    assert result.intervals[0].low == pytest.approx(tanh(atanh(0.88) - half), abs=1e-5)
    assert result.intervals[0].high == pytest.approx(tanh(atanh(0.88) + half), abs=1e-5)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    rho, shift, n, tables = 0.85, 0.5, 60, 800
    truth = 2 * rho / (2 + shift**2)
    held = 0
    for _ in range(tables):
        one = random.normal(size=n)
        other = rho * one + sqrt(1 - rho**2) * random.normal(size=n) + shift
        interval = concordance(one, other).intervals[0]
        held += interval.low <= truth <= interval.high
    assert abs(held / tables - 0.95) < 0.025


@given(st.integers(0, 10_000))
def test_not_above_correlation_and_the_same_both_ways(seed: int) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, 9)) * [[1], [3]]
    value = concordance(one, other).value
    assert value is not None
    assert abs(value) <= abs(np.corrcoef(one, other)[0, 1]) + 1e-12
    assert concordance(other, one).value == pytest.approx(value)


def test_figures_that_say_nothing() -> None:
    same = np.array([1.0, 2.0, 5.0])
    assert concordance(same, same).value == pytest.approx(1.0)
    assert not concordance(same, same).intervals
    assert "do not vary" in concordance(np.ones(4), np.ones(4)).reason
    assert "fewer than 3" in concordance(same[:2], same[:2]).reason
    flat = concordance(np.ones(3), same)
    assert flat.value == 0
    assert not flat.intervals
    with pytest.raises(ValueError, match="cannot be compared"):
        concordance(same, same[:2])
