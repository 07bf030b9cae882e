"""Uncertain calls: a count over all cells, and the two percentages between which the threshold decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.scoring.calls import CallRule, call_values
from ihc_quant.scoring.uncertain import add_uncertain, count_uncertain

probabilities = st.lists(st.floats(0, 1, width=32), max_size=40).map(lambda values: np.array(values, np.float32))
bands = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ends: (min(ends), max(ends)))


@given(probabilities, bands)
def test_both_fractions_are_those_of_the_ends_as_thresholds(
    p: "np.typing.NDArray[np.float32]", band: tuple[float, float]
) -> None:
    calls = count_uncertain(p, band, band[1])
    assert calls.total == len(p)
    if len(p) == 0:
        assert calls.share.value is None
        assert "no cells" in calls.fraction_if_negative.reason
        return
    od = np.zeros(len(p), np.float32)
    at_low, at_high = (call_values(p, od, CallRule(p_threshold=end))[0].mean() for end in band)
    assert calls.fraction_if_positive.value == at_low
    assert calls.fraction_if_negative.value == at_high
    assert calls.share.value == pytest.approx(at_low - at_high)


@given(probabilities, bands, st.floats(0, 1))
def test_a_threshold_in_the_band_gives_a_percentage_between_both(
    p: "np.typing.NDArray[np.float32]", band: tuple[float, float], place: float
) -> None:
    calls = count_uncertain(p, band, band[1])
    if calls.fraction_if_negative.value is None or calls.fraction_if_positive.value is None:
        return
    threshold = np.float32(band[0]) + np.float32(place) * (np.float32(band[1]) - np.float32(band[0]))
    fraction = (p >= min(threshold, np.float32(band[1]))).mean()
    assert calls.fraction_if_negative.value <= fraction <= calls.fraction_if_positive.value


def test_a_cell_at_the_lower_end_is_uncertain_and_one_at_the_upper_end_positive() -> None:
    calls = count_uncertain(np.array([0.35, 0.85], np.float32), (0.35, 0.85), 0.5)
    assert calls.cells == 1
    assert calls.fraction_if_negative.value == 0.5


def test_a_band_that_runs_downwards_is_refused() -> None:
    with pytest.raises(ValueError, match="band"):
        count_uncertain(np.zeros(3, np.float32), (0.6, 0.4), 0.5)


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_a_threshold_outside_the_band_leaves_no_figures_but_the_reason(threshold: float) -> None:
    p = np.array([0.1, 0.5, 0.7, 0.95], np.float32)
    apart, within = count_uncertain(p, (0.4, 0.6), threshold), count_uncertain(p, (0.4, 0.6), 0.6)
    for calls in (apart, add_uncertain([within, apart])):
        for figure in (calls.share, calls.fraction_if_negative, calls.fraction_if_positive):
            assert figure.value is None
            assert figure.reason == f"the threshold {threshold} lies outside the band of uncertain calls, 0.4 to 0.6"
    nothing = count_uncertain(p[:0], (0.4, 0.6), threshold)
    assert "no cells" in nothing.share.reason
    assert add_uncertain([within, nothing]).share == within.share
