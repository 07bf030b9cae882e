"""Intraclass correlation against the published table, an analysis of variance by another program, and simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ihc_quant.evaluation.intraclass import ICC_FORMS, intraclass, mean_squares

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], np.float64
)
"""Table 2 of Shrout and Fleiss 1979: six targets, four judges."""

PRINTED = {
    "ICC(1,1)": ("0.17", "-0.13", "0.72"),
    "ICC(2,1)": ("0.29", "0.02", "0.76"),
    "ICC(3,1)": ("0.71", "0.34", "0.95"),
    "ICC(1,k)": ("0.44", "-0.88", "0.91"),
    "ICC(2,k)": ("0.62", "0.07", "0.93"),
    "ICC(3,k)": ("0.91", "0.68", "0.99"),
}
"""Values as Shrout and Fleiss print them in table 4, limits as the manual of R's psych prints them for these data."""


def test_published_table_to_its_printed_digits() -> None:
    found = {
        form.unit: (f"{form.value:.2f}", f"{form.intervals[0].low:.2f}", f"{form.intervals[0].high:.2f}")
        for form in intraclass(mean_squares(SHROUT_FLEISS))
    }
    assert found == PRINTED
    assert list(found) == list(ICC_FORMS)


def test_published_mean_squares() -> None:
    squares = mean_squares(SHROUT_FLEISS)
    printed = (squares.between_targets, squares.within, squares.between_readers, squares.residual)
    assert [f"{square:.2f}" for square in printed] == ["11.24", "6.26", "32.49", "1.02"]


@pytest.mark.parametrize(("targets", "readers", "seed"), [(6, 4, 0), (2, 2, 1), (40, 3, 2), (15, 7, 3)])
def test_mean_squares_are_those_of_an_analysis_of_variance(targets: int, readers: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(30, 12, (targets, 1)) + random.normal(0, 3, (1, readers))
    values = values + random.normal(0, 4, (targets, readers))
    target, reader = np.indices(values.shape)
    frame = pd.DataFrame({"y": values.ravel(), "target": target.ravel(), "reader": reader.ravel()})
    two_way = anova_lm(ols("y ~ C(target) + C(reader)", frame).fit())["mean_sq"]
    one_way = anova_lm(ols("y ~ C(target)", frame).fit())["mean_sq"]
    squares = mean_squares(values)
    assert squares.between_targets == pytest.approx(two_way["C(target)"], rel=1e-9)
    assert squares.between_readers == pytest.approx(two_way["C(reader)"], rel=1e-9)
    assert squares.residual == pytest.approx(two_way["Residual"], rel=1e-9)
    assert squares.within == pytest.approx(one_way["Residual"], rel=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    share, n, k, tables = 0.7, 20, 3, 600
    held = np.zeros(3)
    for _ in range(tables):
        values = random.normal(0, np.sqrt(share), (n, 1)) + random.normal(0, np.sqrt(1 - share), (n, k))
        forms = intraclass(mean_squares(values))[:3]
        held += [form.intervals[0].low <= share <= form.intervals[0].high for form in forms]
    assert np.all(np.abs(held / tables - 0.95) < 0.03)


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_scale_and_offset_of_all_figures_change_nothing(seed: int, shift: float, factor: float) -> None:
    values = np.random.default_rng(seed).normal(size=(8, 3))
    plain, moved = (intraclass(mean_squares(table)) for table in (values, factor * values + shift))
    assert [form.value for form in plain] == pytest.approx([form.value for form in moved], rel=1e-6, abs=1e-9)


def test_an_offset_of_one_reader_counts_for_absolute_agreement_only() -> None:
    moved = SHROUT_FLEISS + np.array([0, 0, 0, 5])
    before, after = (
        {form.unit: form.value or 0.0 for form in intraclass(mean_squares(table))} for table in (SHROUT_FLEISS, moved)
    )
    assert after["ICC(3,1)"] == pytest.approx(before["ICC(3,1)"])
    assert after["ICC(2,1)"] < before["ICC(2,1)"]
    assert after["ICC(1,1)"] < before["ICC(1,1)"]


def test_full_agreement_has_no_interval_and_no_variation_no_value() -> None:
    full = intraclass(mean_squares(np.array([[0.1, 0.1], [0.7, 0.7], [0.3, 0.3]])))
    assert [form.value for form in full] == [1.0] * 6
    assert not any(form.intervals for form in full)
    none = intraclass(mean_squares(np.full((4, 3), 0.1)))
    assert all(form.value is None and "do not vary" in form.reason for form in none)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 5))
def test_limits_enclose_the_value_on_any_table(seed: int, n: int, k: int) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (n, k)).astype(np.float64)
    for form in intraclass(mean_squares(values)):
        for interval in form.intervals:
            assert form.value is not None
            assert interval.low <= form.value <= interval.high <= 1.0 + 1e-12


@pytest.mark.parametrize("values", [np.ones((1, 3)), np.ones((3, 1)), np.array([[1.0, np.nan], [1.0, 2.0]])])
def test_tables_without_an_analysis_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="two targets and two readers"):
        mean_squares(values)
