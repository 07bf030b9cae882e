"""Calls, grades and counts."""

from random import Random
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ihc_quant.scoring.calls import CallRule, call_values
from ihc_quant.scoring.counts import count_by_fragment, count_cells

Mode = Literal["network", "od"]
MODES: tuple[Mode, ...] = ("network", "od")
Columns = tuple[NDArray[np.float32], NDArray[np.float32]]

cells = st.integers(0, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.float32, n, elements=st.floats(0, 1, width=32)),
        arrays(np.float32, n, elements=st.floats(-0.5, 2.5, width=32)),
    )
)
probability = st.floats(0, 1)


@given(cells, probability, probability)
def test_a_higher_threshold_never_raises_positivity(cells: Columns, one: float, other: float) -> None:
    low, high = sorted((one, other))
    lenient, _ = call_values(*cells, CallRule(p_threshold=low))
    strict, _ = call_values(*cells, CallRule(p_threshold=high))
    assert (lenient | ~strict).all(), "a cell that is positive at the higher threshold is so at the lower one"


@given(cells, st.floats(0.01, 1), st.floats(0.01, 1))
def test_higher_cuts_never_raise_a_grade(cells: Columns, one: float, other: float) -> None:
    low, high = sorted((one, other))
    for mode in MODES:
        lenient = call_values(*cells, CallRule(mode=mode, cuts_od=(low, low + 0.2, low + 0.4)))[1]
        strict = call_values(*cells, CallRule(mode=mode, cuts_od=(high, high + 0.2, high + 0.4)))[1]
        assert (strict <= lenient).all()


@given(cells, probability, st.sampled_from(MODES))
def test_a_cell_has_a_grade_exactly_where_it_is_positive(cells: Columns, threshold: float, mode: Mode) -> None:
    positive, grade = call_values(*cells, CallRule(mode=mode, p_threshold=threshold))
    assert (positive == (grade > 0)).all()
    assert positive.dtype == np.bool_
    assert grade.dtype == np.int8


def test_a_density_at_the_cut_reaches_it() -> None:
    od = np.array([0.2, 0.4, 0.6], np.float32)
    assert call_values(np.zeros(3, np.float32), od, CallRule(mode="od"))[1].tolist() == [1, 2, 3]


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        CallRule(cuts_od=(0.4, 0.2, 0.6))
    with pytest.raises(ValueError, match="between 0 and 1"):
        CallRule(p_threshold=1.5)
    assert CallRule(compartment="ring", statistic="p90").od_column == "od_ring_p90"
    assert CallRule().label == "not validated"


@given(arrays(np.int8, st.integers(0, 50), elements=st.integers(0, 3)), st.randoms(use_true_random=False))
def test_counts_of_parts_add_up_to_the_count_of_the_whole(grade: NDArray[np.int8], random: Random) -> None:
    cut = random.randint(0, len(grade))
    assert count_cells(grade[:cut], 1.0) + count_cells(grade[cut:], 2.0) == count_cells(grade, 3.0)
    fragment = np.array([random.randint(1, 3) for _ in grade], np.int16)
    parts = count_by_fragment(grade, fragment, {1: 1.0, 2: 1.0, 3: 1.0})
    assert [number for number, _ in parts] == [1, 2, 3]
    assert parts[0][1] + parts[1][1] + parts[2][1] == count_cells(grade, 3.0)
