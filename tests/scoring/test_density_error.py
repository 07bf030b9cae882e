"""The network's own error of densities and ratios: what the wider interval holds, and what may never be claimed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate, Interval
from ihc_quant.scoring.density_error import CountedDensity, carry_density_error, carry_ratio_error
from ihc_quant.scoring.intervals import poisson_ratio_interval
from ihc_quant.scoring.score import ScoreSettings, score_marker

POSITIVE = LogCountError(40, 5, 10, 900, -0.05, 0.2)
ALL = LogCountError(100, 5, 10, 9000, 0.1, 0.1)
CD138 = MeasurementError(
    "cd138", "CD138", "marrow", "by patient", 101, 5, -0.4, 2.2, 800, 9000, 0.96, 0.99, POSITIVE, ALL
)
KI67 = MeasurementError(
    "bcdata", "Ki-67", "breast", "by image", 26, 26, 3.0, 4.6, 900, 1100, 0.95, 0.97,
    LogCountError(24, 24, 10, 1200, 0.1, 0.1), LogCountError(26, 26, 10, 2500, 0.02, 0.05),
)  # fmt: skip
OWN = replace(KI67, source="ours", marker="CCR4", tissue="skin")
COUNTS = CellCounts(600, 300, 70, 30, 2e6)
"""400 positive cells of 1,000 in 2 mm²: 200 per mm²."""


def counted(*errors: MeasurementError, marker: str = "CCR4", width: float = 1.0) -> CountedDensity:
    """Return 200 cells/mm² whose interval of sampling reaches from 200 / width to 200 · width."""
    density = Estimate(200.0, "cells/mm²", (Interval(200 / width, 200 * width, 0.95, "known"),))
    return CountedDensity(marker, COUNTS, density, errors)


def wider(of: CountedDensity, draws: int = 20_000) -> Interval:
    interval = carry_density_error(of, draws=draws)[0].intervals[-1]
    assert interval.method == f"sampling + measurement, simulated, {draws} draws"
    return interval


def by_image(error: MeasurementError) -> MeasurementError:
    return replace(error, cell_count=None)


logs = st.builds(
    lambda images, patients, bias, sd: LogCountError(images, min(images, patients), 1, 500, bias, sd),
    st.integers(2, 60), st.integers(2, 60), st.floats(-3, 3), st.floats(0, 3),
)  # fmt: skip
shares = st.floats(0, 1)
errors = st.builds(
    lambda positive, cells, sure: replace(
        CD138, positive_count=positive, cell_count=cells, sensitivity=sure[0], specificity=sure[1]
    ),
    logs, st.none() | logs, st.tuples(shares, shares),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.lists(errors, min_size=1, max_size=3),
)
def test_it_holds_sampling_and_is_no_negative_density(case: tuple[int, int], known: list[MeasurementError]) -> None:
    positive, total = case
    counts = CellCounts(total - positive, positive, area_um2=1e6)
    score = score_marker("CCR4", counts, None, ScoreSettings(measurement_draws=500), errors=known)
    *sampling, interval = score.positive_density_per_mm2.intervals
    assert len(sampling) == 1
    assert 0 <= interval.low <= sampling[0].low <= sampling[0].high <= interval.high < np.inf
    assert not interval.reliable
    assert "not validated for CCR4" in interval.note


def test_bias_and_spread_are_those_of_a_new_patient_by_hand() -> None:
    # 5 patients: t(4) = 2.776; 2.776 · √1.2 · 0.2 = 0.608 around ln 200 + 0.05.
    interval = wider(counted(by_image(CD138)))
    half = stdtrit(4, 0.975) * 1.2**0.5 * 0.2
    assert half == pytest.approx(0.608, abs=1e-3)
    assert np.log(interval.low / 200) == pytest.approx(0.05 - half, abs=0.03)
    assert np.log(interval.high / 200) == pytest.approx(0.05 + half, abs=0.03)


def test_the_spread_of_sampling_is_added_to_that_of_the_network() -> None:
    # Very many patients: t is normal, and the variances of both logarithms add.
    many = replace(by_image(CD138), positive_count=LogCountError(10_000, 10_000, 10, 100_000, 0.0, 0.1))
    interval = wider(counted(many, width=np.exp(1.96 * 0.2)))
    half = 1.96 * (0.1**2 + 0.2**2) ** 0.5
    assert np.log([interval.low / 200, interval.high / 200]) == pytest.approx([-half, half], abs=0.02)


def test_it_covers_the_truth_where_sampling_does_not() -> None:
    """Cards are made from 8 patients each, then a ninth is scored: nominal 95 %, 400 times; so are ratios of two."""
    random = np.random.default_rng(4)
    held, held_by_sampling, ratios_held = 0, 0, 0
    for _ in range(400):
        off = random.normal(0.1, 0.2, 10)
        bias, sd = float(off[:8].mean()), float(off[:8].std(ddof=1))
        error = replace(by_image(CD138), positive_count=LogCountError(8, 8, 10, 100, bias, sd))
        one, other = (
            CountedDensity(marker, COUNTS, Estimate(seen, "cells/mm²", (low_to_high(seen, 0.05),)), [error])
            for marker, seen in zip(
                ("CCR4", "CD4"), 200 * np.exp(off[8:] + random.normal(0, 0.05, 2)), strict=True
            )
        )  # fmt: skip
        interval = wider(one, draws=2000)
        held += interval.low <= 200 <= interval.high
        held_by_sampling += one.density.intervals[0].low <= 200 <= one.density.intervals[0].high
        seen = (one.density.value or 0.0) / (other.density.value or 1.0)
        ratio = Estimate(seen, "ratio", (low_to_high(seen, 0.05 * 2**0.5),))
        limits = carry_ratio_error(ratio, one, other, draws=2000).intervals[-1]
        ratios_held += limits.low <= 1 <= limits.high
    assert held >= 0.93 * 400
    assert ratios_held >= 0.93 * 400
    assert held_by_sampling < 0.6 * 400


def low_to_high(value: float, sd: float) -> Interval:
    return Interval(value * np.exp(-1.96 * sd), value * np.exp(1.96 * sd), 0.95, "known")


@given(st.permutations([CD138, KI67, replace(CD138, source="x", tissue="node", positive_count=KI67.positive_count)]))
@settings(max_examples=6, deadline=None)
def test_neither_order_nor_run_changes_it_and_more_sets_never_narrow_it(known: list[MeasurementError]) -> None:
    interval = wider(counted(*known))
    again = wider(counted(*sorted(known, key=str)))
    assert (interval.low, interval.high) == (again.low, again.high)
    for error in known:
        alone = wider(counted(error))
        assert interval.low <= alone.low < alone.high <= interval.high


def test_false_positives_weigh_more_where_there_are_few_positive_cells() -> None:
    """Of 1,000 cells 1 % are called positive; with 3 % of negative ones called so, there may be none."""
    few = CellCounts(990, 10, area_um2=1e6)
    score = score_marker("CCR4", few, None, errors=[KI67])
    assert score.positive_density_per_mm2.intervals[0].low > 4
    assert score.positive_density_per_mm2.intervals[-1].low == 0
    assert wider(counted(KI67)).low > 100


def test_without_positive_cells_there_is_an_upper_limit() -> None:
    score = score_marker("CCR4", CellCounts(1000, area_um2=1e6), None, errors=[CD138])
    *_, sampling, interval = score.positive_density_per_mm2.intervals
    assert interval.low == 0
    assert interval.high > sampling.high > 0


def test_what_it_was_not_measured_on_is_said() -> None:
    density, statement = carry_density_error(counted(CD138, KI67))
    assert density.intervals[-1].note == "measured on CD138, marrow; Ki-67, breast; not validated for CCR4"
    assert statement.startswith(
        "measured on CD138, marrow (40 images of 5 patients with at least 10 such cells, by "
        "patient: −5 % on average, standard deviation 22 %); Ki-67, breast (24 images with"
    )
    assert statement.endswith("; not validated for CCR4")
    score = score_marker("CCR4", COUNTS, None, errors=[CD138])
    assert carry_density_error(counted(CD138))[1] == score.network_error.of_positive_cells
    assert "number of" not in score.network_error.of_percentage


def test_a_set_of_the_marker_itself_speaks_for_it_alone() -> None:
    assert wider(counted(CD138, OWN)) == wider(counted(OWN))
    assert wider(counted(OWN)).reliable
    # One whose counts were not measured leaves the word to the others.
    uncounted = replace(OWN, positive_count=None)
    assert wider(counted(CD138, uncounted)) == wider(counted(CD138))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ((), "unknown: the card of the weights states none"),
        (None, "cells are called otherwise here"),
        ((replace(CD138, positive_count=None, cell_count=None),), "unknown: the card of the weights states none"),
        (
            (replace(CD138, positive_count=replace(POSITIVE, patients=1)),),
            "measured on a single patient (CD138, marrow",
        ),
    ],
)
def test_where_it_is_not_known_there_is_no_interval(known: tuple[MeasurementError, ...] | None, said: str) -> None:
    of = replace(counted(), errors=known)
    density, statement = carry_density_error(of)
    assert density == of.density
    assert said in statement
    ratio = Estimate(1.0, "ratio", (Interval(0.5, 2.0, 0.95, "known"),))
    for sides in ((of, counted(CD138, marker="CD4")), (counted(CD138, marker="CD4"), of)):
        assert carry_ratio_error(ratio, *sides) == ratio


def test_a_ratio_holds_the_errors_of_both_sections_drawn_apart() -> None:
    many = replace(by_image(CD138), positive_count=LogCountError(10_000, 10_000, 10, 100_000, 0.3, 0.1))
    ratio = Estimate(1.0, "ratio", (Interval(1.0, 1.0, 0.95, "known"),))
    interval = carry_ratio_error(ratio, counted(many), counted(many, marker="CD4")).intervals[-1]
    # The bias is that of both and cancels; the spreads add.
    half = 1.96 * 0.1 * 2**0.5
    assert np.log([interval.low, interval.high]) == pytest.approx([-half, half], abs=0.02)
    assert interval.note == "measured on CD138, marrow; not validated for CCR4; not validated for CD4"


def test_each_section_of_a_ratio_may_err_as_any_set() -> None:
    sure = [
        replace(by_image(CD138), source=name, positive_count=LogCountError(500, 500, 10, 9000, bias, 0.01))
        for name, bias in (("a", -0.2), ("b", 0.3))
    ]
    ratio = Estimate(1.0, "ratio", (Interval(1.0, 1.0, 0.95, "known"),))
    interval = carry_ratio_error(ratio, counted(*sure), counted(*sure, marker="CD4")).intervals[-1]
    assert np.log([interval.low, interval.high]) == pytest.approx([-0.5, 0.5], abs=0.05)


@given(st.lists(errors, min_size=1, max_size=2), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_the_inverse_ratio_has_the_inverse_limits(known: list[MeasurementError], above: int, below: int) -> None:
    one, other = (
        CountedDensity(marker, counts, score_marker(marker, counts, None).positive_density_per_mm2, known)
        for marker, counts in (
            ("CCR4", CellCounts(500, above, area_um2=1e6)), ("CD4", CellCounts(500, below, area_um2=2e6)),
        )
    )  # fmt: skip
    value = (one.density.value or 0.0) / (other.density.value or 1.0)
    ratio = Estimate(value, "ratio", (poisson_ratio_interval(above, 1.0, below, 2.0),))
    inverse = Estimate(1 / value, "ratio", (poisson_ratio_interval(below, 2.0, above, 1.0),))
    interval = carry_ratio_error(ratio, one, other, draws=500).intervals[-1]
    turned = carry_ratio_error(inverse, other, one, draws=500).intervals[-1]
    assert 0 < interval.low <= ratio.intervals[0].low <= ratio.intervals[0].high <= interval.high < np.inf
    assert (turned.low, turned.high) == pytest.approx((1 / interval.high, 1 / interval.low), rel=1e-6)


def test_a_density_that_holds_the_error_already_is_not_made_to_hold_it_twice() -> None:
    of, ratio = counted(CD138, width=1.2), Estimate(1.0, "ratio", (Interval(0.8, 1.2, 0.95, "known"),))
    carried = replace(of, density=carry_density_error(of)[0])
    other = counted(KI67, marker="CD4", width=1.1)
    assert carry_ratio_error(ratio, carried, other) == carry_ratio_error(ratio, of, other)
