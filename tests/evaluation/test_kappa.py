"""Kappa against scikit-learn, its error against statsmodels."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from ihc_quant.evaluation.kappa import Weighting, category_table, kappa, same_category

SKLEARN = {Weighting.NONE: None, Weighting.LINEAR: "linear", Weighting.QUADRATIC: "quadratic"}


@pytest.mark.parametrize("weighting", Weighting)
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), categories=st.integers(2, 6), n=st.integers(2, 40))
def test_kappa_is_that_of_scikit_learn(weighting: Weighting, seed: int, categories: int, n: int) -> None:
    one, other = np.random.default_rng(seed).integers(0, categories, (2, n))
    assume(len(set(one) | set(other)) > 1)
    found = kappa(category_table(one, other, categories), weighting)
    expected = cohen_kappa_score(one, other, labels=list(range(categories)), weights=SKLEARN[weighting])
    assert found.value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("weighting", "their_name"), [(Weighting.LINEAR, "linear"), (Weighting.QUADRATIC, "fc")])
def test_error_is_that_of_statsmodels(weighting: Weighting, their_name: str) -> None:
    random = np.random.default_rng(2)
    one = random.integers(0, 4, 80)
    other = np.clip(one + random.integers(-1, 2, 80), 0, 3)
    table = category_table(one, other, 4)
    theirs = cohens_kappa(table, wt=their_name)
    interval = kappa(table, weighting).intervals[0]
    assert (interval.low, interval.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=1e-9)


def test_unweighted_error_is_that_of_statsmodels() -> None:
    table = np.array([[20, 5, 1], [10, 15, 3], [0, 4, 9]])
    theirs, interval = cohens_kappa(table), kappa(table).intervals[0]
    assert (interval.low, interval.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=1e-9)


def test_categories_that_nobody_gave_change_weights_alone() -> None:
    one, other = np.array([0, 0, 2, 2, 0]), np.array([0, 2, 2, 2, 0])
    assert kappa(category_table(one, other, 3)).value == pytest.approx(kappa(category_table(one, other, 5)).value)


def test_tables_that_say_nothing() -> None:
    throughout = category_table(np.zeros(5, np.int64), np.zeros(5, np.int64), 3)
    assert "one category" in kappa(throughout).reason
    assert same_category(throughout).value == 1
    assert "no target" in kappa(np.zeros((2, 2), np.int64)).reason
    assert "no target" in same_category(np.zeros((2, 2), np.int64)).reason
    diagonal = kappa(np.diag([3, 4]))
    assert diagonal.value == 1
    assert not diagonal.intervals
    with pytest.raises(ValueError, match="run from 0 to 1"):
        category_table(np.array([0, 2]), np.array([0, 1]), 2)
