"""Counts that add, and estimates that have a value or a reason."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.score import CellCounts, Estimate, Interval

numbers = st.integers(0, 10**7)
# Areas on a lattice of eighths, so that sums of floats are exact and equality can be asked for.
counts = st.builds(CellCounts, numbers, numbers, numbers, numbers, st.integers(0, 10**9).map(lambda n: n / 8))


@given(counts, counts, counts)
@settings(deadline=None)
def test_counts_are_a_commutative_monoid(a: CellCounts, b: CellCounts, c: CellCounts) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + CellCounts() == a == CellCounts() + a


@given(counts, counts)
@settings(deadline=None)
def test_totals_add(a: CellCounts, b: CellCounts) -> None:
    assert (a + b).total == a.total + b.total
    assert (a + b).positive == a.positive + b.positive
    assert a.total == a.negative + a.positive


@given(st.lists(counts, max_size=8))
@settings(deadline=None)
def test_any_partition_sums_to_the_same(parts: list[CellCounts]) -> None:
    assert sum(parts, CellCounts()) == sum(reversed(parts), CellCounts())


@pytest.mark.parametrize("wrong", [{"negative": -1}, {"three_plus": -1}, {"area_um2": -1.0}, {"area_um2": math.nan}])
def test_negative_counts_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not negative"):
        CellCounts(**wrong)


def test_an_estimate_has_a_value_or_a_reason() -> None:
    assert Estimate(0.0, "fraction").reason == ""
    assert Estimate(None, "fraction", reason="no cells were found").value is None
    with pytest.raises(ValueError, match="either"):
        Estimate(None, "fraction")
    with pytest.raises(ValueError, match="either"):
        Estimate(0.5, "fraction", reason="why")


def test_an_interval_runs_upwards() -> None:
    assert Interval(0.2, 0.2, 0.95, "Wilson").reliable
    for low, high in ((0.3, 0.2), (math.nan, 0.2)):
        with pytest.raises(ValueError, match="upwards"):
            Interval(low, high, 0.95, "Wilson")
