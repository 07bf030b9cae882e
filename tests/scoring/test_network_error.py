"""The network's own error: what the wider interval holds, and what may never be claimed with it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from ihc_quant.domain.measurement_error import MeasurementError, PatientCalls
from ihc_quant.domain.score import CellCounts, Estimate, Interval
from ihc_quant.scoring.network_error import AS_INDEPENDENT, carry_error, effective_cells, rogan_gladen
from ihc_quant.scoring.score import score_marker

CD138 = MeasurementError(
    "cd138", "CD138", "marrow", "out-of-fold, by patient", 101, 5, -0.4, 2.2, 800, 9000, 0.96, 0.99
)
KI67 = MeasurementError("bcdata", "Ki-67", "breast", "out-of-fold, by image", 26, 26, 3.0, 4.6, 900, 1100, 0.95, 0.97)
WIDTHLESS = Estimate(0.4, "fraction", (Interval(0.4, 0.4, 0.95, "none"),))


def without_cells(error: MeasurementError) -> MeasurementError:
    return replace(error, positive_cells=0, negative_cells=0, sensitivity=None, specificity=None)


def wider(fraction: Estimate, *errors: MeasurementError, marker: str = "CCR4") -> Interval:
    interval = carry_error(fraction, marker, errors)[0].intervals[-1]
    assert interval.method.startswith("sampling + measurement")
    return interval


shares = st.floats(0, 1)
errors = st.builds(
    lambda images, patients, bias, sd, sure, cells: MeasurementError(
        "s", "Ki-67", "breast", "by patient", images, min(images, patients), bias, sd, *cells, *sure
    ),
    st.integers(2, 60),
    st.integers(2, 60),
    st.floats(-60, 60),
    st.floats(0, 60),
    st.tuples(shares, shares),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.lists(errors, min_size=1, max_size=3),
)
def test_it_holds_sampling_and_stays_in_range(case: tuple[int, int], known: list[MeasurementError]) -> None:
    positive, total = case
    score = score_marker("CCR4", CellCounts(total - positive, positive), None, errors=known)
    *sampling, interval = score.positive_fraction.intervals
    assert len(sampling) == 1
    assert 0 <= interval.low <= sampling[0].low <= sampling[0].high <= interval.high <= 1
    for corrected in score.network_error.corrected:
        assert corrected.fraction.value is None or 0 <= corrected.fraction.value <= 1


@given(st.permutations([CD138, KI67, replace(CD138, source="x", tissue="node", bias_points=9.0)]))
@settings(max_examples=6, deadline=None)
def test_neither_order_nor_run_changes_it_and_more_sets_never_narrow_it(known: list[MeasurementError]) -> None:
    interval = wider(WIDTHLESS, *known)
    assert (interval.low, interval.high) == (
        wider(WIDTHLESS, *sorted(known, key=str)).low,
        wider(WIDTHLESS, *sorted(known, key=str)).high,
    )
    for error in known:
        alone = wider(WIDTHLESS, error)
        assert interval.low <= alone.low < alone.high <= interval.high


def test_bias_and_spread_are_those_of_a_new_patient_by_hand() -> None:
    # 5 patients: t(4) = 2.776; 2.776 · √1.2 · 2.2 = 6.69 points around 40 + 0.4 %.
    interval = wider(WIDTHLESS, without_cells(CD138))
    half = stdtrit(4, 0.975) * 1.2**0.5 * 0.022
    assert half == pytest.approx(0.0669, abs=1e-4)
    assert interval.low == pytest.approx(0.404 - half, abs=0.003)
    assert interval.high == pytest.approx(0.404 + half, abs=0.003)


def test_it_covers_the_truth_where_sampling_does_not() -> None:
    """Cards are made from 8 patients each, then a ninth is scored: nominal 95 %, 400 times."""
    random = np.random.default_rng(4)
    held, held_by_sampling = 0, 0
    for _ in range(400):
        off = random.normal(0.03, 0.04, 9)
        error = replace(
            without_cells(CD138), images=8, patients=8,
            bias_points=100 * float(off[:8].mean()), sd_points=100 * float(off[:8].std(ddof=1)),
        )  # fmt: skip
        seen = random.normal(0.4 + off[8], 0.01)
        fraction = Estimate(seen, "fraction", (Interval(seen - 0.0196, seen + 0.0196, 0.95, "known"),))
        interval = carry_error(fraction, "CCR4", [error], draws=2000)[0].intervals[-1]
        held += interval.low <= 0.4 <= interval.high
        held_by_sampling += fraction.intervals[0].low <= 0.4 <= fraction.intervals[0].high
    assert held >= 0.93 * 400
    assert held_by_sampling < 0.6 * 400


def test_missed_positives_weigh_more_where_there_are_more() -> None:
    blind = replace(CD138, sensitivity=0.7, bias_points=0.0, sd_points=0.5)
    few, many = (wider(Estimate(value, "fraction", ()), blind).high - value for value in (0.05, 0.6))
    assert many > 0.2 > few


def test_what_it_was_not_measured_on_is_said() -> None:
    fraction, error = carry_error(WIDTHLESS, "CCR4", (CD138, KI67))
    interval = fraction.intervals[-1]
    assert not interval.reliable
    assert interval.note == "measured on CD138, marrow; Ki-67, breast; not validated for CCR4"
    assert "CD138, marrow (101 images of 5 patients, out-of-fold, by patient: −0.4 points" in error.of_percentage
    assert carry_error(WIDTHLESS, "H&E", (CD138,))[1].of_percentage.endswith("not validated for this stain")


def test_an_interval_that_holds_unreliable_ones_is_unreliable() -> None:
    own = replace(KI67, source="ours", marker="CCR4", tissue="skin")
    doubtful = replace(WIDTHLESS.intervals[0], reliable=False, note="9 blocks; at least 20 are wanted")
    interval = wider(replace(WIDTHLESS, intervals=(doubtful,)), own)
    assert (interval.reliable, interval.note) == (False, "9 blocks; at least 20 are wanted")


def test_a_set_of_the_marker_itself_speaks_for_it_alone() -> None:
    own = replace(KI67, source="ours", marker="CCR4", tissue="skin", bias_points=0.0)
    interval = wider(WIDTHLESS, CD138, own)
    assert interval.reliable
    assert interval == wider(WIDTHLESS, own)
    error = carry_error(WIDTHLESS, "CCR4", (CD138, own))[1]
    assert "CD138" not in error.of_percentage
    assert "not validated" not in error.of_percentage


def test_nobody_measured_it() -> None:
    fraction, error = carry_error(WIDTHLESS, "CCR4", ())
    assert fraction == WIDTHLESS
    assert error.of_percentage.startswith("measurement error unknown")
    fraction, error = carry_error(WIDTHLESS, "CCR4", None)
    assert fraction == WIDTHLESS
    assert "called otherwise here" in error.of_percentage


def test_one_patient_gives_no_interval() -> None:
    fraction, error = carry_error(WIDTHLESS, "CCR4", (replace(CD138, patients=1),))
    assert fraction == WIDTHLESS
    assert "unknown: measured on a single patient (CD138, marrow (101 images of 1 patient" in error.of_percentage
    (corrected,) = error.corrected
    assert not corrected.fraction.intervals[0].reliable
    # A set of one patient adds nothing to another set's interval.
    assert wider(WIDTHLESS, KI67).high == wider(WIDTHLESS, KI67, replace(CD138, patients=1)).high


def test_no_cells_have_no_interval_of_any_kind() -> None:
    score = score_marker("CD4", CellCounts(area_um2=1e6), None, errors=(CD138,))
    assert score.positive_fraction.intervals == ()
    assert score.network_error.of_percentage.startswith("measured on CD138")


@given(shares, st.floats(0.55, 1), st.floats(0.55, 1))
def test_the_correction_undoes_miscalls(true: float, sensitivity: float, specificity: float) -> None:
    seen = true * sensitivity + (1 - true) * (1 - specificity)
    assert rogan_gladen(seen, sensitivity, specificity) == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "change", "reason"),
    [
        (0.4, {"sensitivity": 0.5, "specificity": 0.5}, "add up to 1 or less"),
        (0.001, {"specificity": 0.9}, "−11.5 %, which is impossible"),
        (0.99, {"sensitivity": 0.8}, "which is impossible"),
        (0.4, {"sensitivity": None, "positive_cells": 0}, "no positive cells"),
        (0.4, {"specificity": None, "negative_cells": 0}, "no negative cells"),
    ],
)
def test_a_correction_that_cannot_be_says_why(value: float, change: dict[str, float | None], reason: str) -> None:
    error = replace(CD138, **change)  # type: ignore[arg-type]
    (corrected,) = carry_error(Estimate(value, "fraction"), "CCR4", (error,))[1].corrected
    assert corrected.measured_on == "CD138, marrow"
    assert corrected.fraction.value is None
    assert reason in corrected.fraction.reason


def test_calls_that_say_nothing_leave_everything_open() -> None:
    interval = wider(WIDTHLESS, replace(CD138, sensitivity=0.3, specificity=0.3))
    assert interval.low < 0.03
    assert interval.high > 0.97


UNLIKE = tuple(
    PatientCalls(cells, 9 * cells, sensitivity, 0.99)
    for cells, sensitivity in ((300, 1.0), (200, 0.98), (200, 0.85), (100, 0.99))
)


def corrected_interval(error: MeasurementError, marker: str = "CCR4", fraction: Estimate = WIDTHLESS) -> Interval:
    (corrected,) = carry_error(fraction, marker, (error,))[1].corrected
    (interval,) = corrected.fraction.intervals
    return interval


def test_patients_who_differ_widen_the_correction_and_patients_alike_do_not() -> None:
    alone = corrected_interval(CD138)
    unlike = corrected_interval(replace(CD138, by_patient=UNLIKE))
    alike = corrected_interval(replace(CD138, by_patient=tuple(replace(p, sensitivity=0.96) for p in UNLIKE)))
    assert unlike.high - unlike.low > 3 * (alone.high - alone.low)
    assert (alike.low, alike.high) == pytest.approx((alone.low, alone.high), abs=0.002)
    assert AS_INDEPENDENT in alone.note
    assert AS_INDEPENDENT not in unlike.note


@pytest.mark.parametrize("patients", [2, 3, 5])
@pytest.mark.parametrize("alike", [0.01, 0.05])
def test_the_rates_of_one_more_patient_lie_where_drawn_ones_do(patients: int, alike: float) -> None:
    """Patients with rates of a known Beta, of mean 0.9: one more lies where it should about as often as said."""
    random, held = np.random.default_rng(3), 0
    for _ in range(400):
        rates = random.beta(0.9 * (1 / alike - 1), 0.1 * (1 / alike - 1), patients + 1)
        seen = [(200, float(random.binomial(200, rate)) / 200) for rate in rates[:-1]]
        cells = effective_cells(seen)
        assert cells is not None
        assert cells <= 200 * patients
        pooled = float(np.mean([rate for _, rate in seen]))
        low, high = np.quantile(random.beta(pooled * cells + 0.5, (1 - pooled) * cells + 0.5, 4000), [0.025, 0.975])
        held += low <= rates[-1] <= high
    assert held >= 0.9 * 400


@given(st.lists(st.tuples(st.integers(1, 3000), shares), min_size=2, max_size=8))
def test_never_more_cells_count_than_there_are(by_patient: list[tuple[int, float]]) -> None:
    cells = effective_cells(by_patient)
    assert cells is not None
    assert 0 < cells <= sum(count for count, _ in by_patient) * (1 + 1e-9)
    assert effective_cells(by_patient[:1]) is None
    assert effective_cells([]) is None


def test_a_correction_by_another_marker_or_of_a_marked_interval_is_marked() -> None:
    by_patient = replace(CD138, by_patient=UNLIKE)
    assert corrected_interval(by_patient).note == "not validated for CCR4"
    assert corrected_interval(by_patient, marker="CD138").reliable
    few = replace(CD138, patients=3, by_patient=UNLIKE[:3])
    assert corrected_interval(few, marker="CD138").note == "measured on 3 patients"
    doubtful = replace(WIDTHLESS.intervals[0], reliable=False, note="9 blocks; at least 20 are wanted")
    marked = corrected_interval(by_patient, "CD138", replace(WIDTHLESS, intervals=(doubtful,)))
    assert (marked.reliable, marked.note) == (False, "9 blocks; at least 20 are wanted")


def test_the_rates_stand_beside_the_error() -> None:
    said = carry_error(WIDTHLESS, "CCR4", (CD138,))[1].of_percentage
    assert "sensitivity 0.960 and specificity 0.990 of found cells" in said
    assert "sensitivity" not in carry_error(WIDTHLESS, "CCR4", (without_cells(CD138),))[1].of_percentage
