"""Which image sets speak for a marker, and that a set of one patient is neither dropped nor taken for more."""

from dataclasses import replace

import numpy as np
import pytest

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate, Interval
from ihc_quant.scoring.density_error import CountedDensity, carry_cell_density_error, carry_density_error
from ihc_quant.scoring.error_sets import Spread, known_error
from ihc_quant.scoring.network_error import carry_error, spread_of_points

COUNT = LogCountError(26, 26, 10, 1200, 0.05, 0.2)
KI67 = MeasurementError("bcdata", "Ki-67", "breast", "by image", 26, 26, 1.0, 4.6, 900, 1100, 0.95, 0.97, COUNT, COUNT)
OWN = MeasurementError(
    "ours", "CCR4", "skin", "by image", 12, 1, 6.0, 1.0, 300, 600, 0.9, 0.98,
    LogCountError(12, 1, 10, 300, 0.4, 0.05), LogCountError(12, 1, 10, 900, 0.1, 0.05),
)  # fmt: skip
LENT = "; CCR4, skin: a single patient, so how patients differ is taken from Ki-67, breast"
FRACTION = Estimate(0.4, "fraction", (Interval(0.38, 0.42, 0.95, "known"),))
DENSITY = Estimate(200.0, "cells/mm²", (Interval(190.0, 210.0, 0.95, "known"),))


def counted(*errors: MeasurementError) -> CountedDensity:
    return CountedDensity("CCR4", CellCounts(600, 400, area_um2=2e6), DENSITY, errors)


def test_an_own_set_of_one_patient_counts_with_the_spread_of_others() -> None:
    known = known_error("CCR4", (KI67, OWN), spread_of_points)
    assert [(error.source, spread) for error, spread in known.drawn] == [
        ("bcdata", Spread(0.01, 0.046, 26)), ("ours", Spread(0.06, 0.046, 26)),
    ]  # fmt: skip
    assert known.used == (OWN,)
    assert known.note == f"measured on Ki-67, breast; CCR4, skin{LENT}"


def test_its_bias_moves_the_interval_which_is_never_narrower_than_without_it() -> None:
    for carried, alone in (
        (carry_error(FRACTION, "CCR4", (KI67, OWN)), carry_error(FRACTION, "CCR4", (KI67,))),
        (carry_density_error(counted(KI67, OWN)), carry_density_error(counted(KI67))),
        (carry_cell_density_error(counted(KI67, OWN)), carry_cell_density_error(counted(KI67))),
    ):
        wide, narrow = carried[0].intervals[-1], alone[0].intervals[-1]
        assert wide.low < narrow.low
        assert wide.high >= narrow.high
        assert not wide.reliable
        assert LENT in wide.note


def test_the_statement_says_that_the_spread_cannot_be_told() -> None:
    _, error = carry_error(FRACTION, "CCR4", (KI67, OWN))
    assert error.of_percentage.startswith("measured on CCR4, skin (12 images of 1 patient")
    assert error.of_percentage.endswith(LENT)
    _, of_positive = carry_density_error(counted(KI67, OWN))
    assert of_positive.startswith("measured on CCR4, skin (12 images of 1 patient with at least 10 such cells")
    assert of_positive.endswith(LENT)


def test_without_another_set_there_is_no_spread_and_no_interval() -> None:
    density, said = carry_density_error(counted(OWN))
    assert density == DENSITY
    assert said.startswith("measurement error unknown: measured on a single patient (CCR4, skin")


def test_own_sets_of_several_patients_lend_and_no_others_speak() -> None:
    several = replace(OWN, source="more", tissue="node", images=30, patients=9, bias_points=0.0, sd_points=3.0)
    known = known_error("CCR4", (KI67, OWN, several), spread_of_points)
    assert [(error.source, spread.patients) for error, spread in known.drawn] == [("more", 9), ("ours", 9)]


def test_of_another_marker_it_is_left_aside_and_that_is_said() -> None:
    foreign = replace(OWN, marker="CD138", tissue="marrow")
    known = known_error("CCR4", (KI67, foreign), spread_of_points)
    assert [error.source for error, _ in known.drawn] == ["bcdata"]
    assert known.statement(lambda error: error.source).endswith(
        "not validated for CCR4; CD138, marrow left aside, being of a single patient"
    )


def test_a_spread_is_drawn_for_a_new_patient() -> None:
    drawn = Spread(1.0, 2.0, 10_000).draw(50_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert drawn.std() == pytest.approx(2, abs=0.05)
