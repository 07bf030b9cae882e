"""Each cell stands in one bin of the histogram."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ihc_quant.scoring.calls import CallRule, call_values
from ihc_quant.scoring.od_histogram import BINS, STEP_OD, od_histogram


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-1, 4, width=32)))
def test_each_cell_is_in_one_bin(od: NDArray[np.float32]) -> None:
    rule = CallRule(mode="od")
    positive, _ = call_values(np.zeros_like(od), od, rule)
    histogram = od_histogram(od, positive, rule)
    assert len(histogram.negative) == len(histogram.positive) == BINS
    assert sum(histogram.positive) == int(positive.sum())
    assert sum(histogram.negative) + sum(histogram.positive) == len(od)


def test_a_bin_begins_at_its_lower_end() -> None:
    od = np.array([3.5 * STEP_OD, 4.5 * STEP_OD], np.float32)
    histogram = od_histogram(od, np.array([False, True]), CallRule(statistic="p90", compartment="ring"))
    assert histogram.negative[3] == histogram.positive[4] == 1
    assert histogram.measured_in == "90th percentile of the ring"
    assert histogram.by_network


def test_cells_and_calls_belong_together() -> None:
    with pytest.raises(ValueError, match="one call"):
        od_histogram(np.zeros(2, np.float32), np.zeros(3, np.bool_), CallRule())
