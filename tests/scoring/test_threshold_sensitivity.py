"""Scores under other thresholds: they follow the calls, and move one way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.scoring.calls import CallRule
from ihc_quant.scoring.threshold_sensitivity import fraction_by_threshold, threshold_sensitivity
from ihc_quant.scoring.uncertain import count_uncertain

BAND = (0.35, 0.85)
cells = st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 2, width=32)), min_size=1, max_size=40).map(
    lambda rows: np.array(rows, np.float32)
)


@given(cells)
def test_calls_by_density_fall_with_the_cut(rows: NDArray[np.float32]) -> None:
    found = threshold_sensitivity(rows[:, 0], rows[:, 1], CallRule(mode="od"), BAND, 1e6)
    low, high = found.others
    assert (low.name, high.name) == ("OD cuts × 0.75", "OD cuts × 1.25")
    assert low.cuts_od == pytest.approx((0.15, 0.3, 0.45))
    assert low.counts.positive >= found.chosen.counts.positive >= high.counts.positive
    for figure in ("positive_fraction", "h_score", "positive_density_per_mm2"):
        values = [getattr(variant, figure).value for variant in (low, found.chosen, high)]
        assert values == sorted(values, reverse=True)
    assert found.chosen.p_threshold is None


@given(cells)
def test_calls_of_the_network_move_with_the_band_and_their_grades_with_the_cuts(rows: NDArray[np.float32]) -> None:
    found = threshold_sensitivity(rows[:, 0], rows[:, 1], CallRule(), BAND, 1e6)
    lower_cuts, higher_cuts, most, fewest = found.others
    chosen = found.chosen
    assert lower_cuts.positive_fraction == chosen.positive_fraction == higher_cuts.positive_fraction
    assert lower_cuts.h_score.value is not None
    assert chosen.h_score.value is not None
    assert higher_cuts.h_score.value is not None
    assert lower_cuts.h_score.value >= chosen.h_score.value >= higher_cuts.h_score.value
    uncertain = count_uncertain(rows[:, 0], BAND, 0.5)
    assert most.positive_fraction == uncertain.fraction_if_positive
    assert fewest.positive_fraction == uncertain.fraction_if_negative
    assert "not the percentage" in found.notes[0]


def test_a_threshold_outside_the_band_leaves_the_band_out_and_says_so() -> None:
    p, od = np.array([0.1, 0.5, 0.95], np.float32), np.ones(3, np.float32)
    found = threshold_sensitivity(p, od, CallRule(p_threshold=0.9), BAND, 1e6)
    assert [variant.name for variant in found.others] == ["OD cuts × 0.75", "OD cuts × 1.25"]
    assert "the threshold 0.9 lies outside the band of uncertain calls, 0.35 to 0.85" in found.notes[1]


def test_no_cells_have_no_figures() -> None:
    none = np.empty(0, np.float32)
    for rule in (CallRule(mode="network"), CallRule(mode="od")):
        found = threshold_sensitivity(none, none, rule, BAND, 1e6)
        for variant in (found.chosen, *found.others):
            assert variant.positive_fraction.value is None
            assert variant.positive_density_per_mm2.value is None
            assert "no cells" in variant.h_score.reason


def test_cells_without_an_area_have_no_density() -> None:
    one = np.ones(1, np.float32)
    chosen = threshold_sensitivity(one, one, CallRule(), BAND, 0.0).chosen
    assert chosen.positive_density_per_mm2.value is None
    assert chosen.positive_fraction.value == 1


def test_a_band_that_runs_downwards_is_refused() -> None:
    one = np.ones(1, np.float32)
    with pytest.raises(ValueError, match="band"):
        threshold_sensitivity(one, one, CallRule(), (0.6, 0.4), 1e6)


@given(cells, st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9).map(sorted))
def test_the_curve_never_rises_and_is_that_of_the_calls(rows: NDArray[np.float32], thresholds: list[float]) -> None:
    at = np.array(thresholds, np.float32)
    curve = fraction_by_threshold(rows[:, 0], at)
    assert (np.diff(curve) <= 0).all()
    assert curve == pytest.approx([(rows[:, 0] >= threshold).mean() for threshold in at])


def test_no_cells_make_no_curve() -> None:
    with pytest.raises(ValueError, match="no cells"):
        fraction_by_threshold(np.empty(0, np.float32), np.zeros(1, np.float32))
