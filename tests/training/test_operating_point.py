"""Thresholds, and the band of uncertain calls: where calls are wrong too often, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.cells.find import CellSettings
from ihc_quant.evaluation.matching import ClassDetection, Detection
from ihc_quant.training import operating_point
from ihc_quant.training.assessment import FieldMaps, cells_of
from ihc_quant.training.calibration import MatchedCalls, PlattScaling
from ihc_quant.training.field import TrainingField
from ihc_quant.training.operating_point import (
    QUICK_POINT,
    UNCERTAIN_ERROR,
    Trials,
    choose_operating_point,
    choose_peaks,
    uncertain_band,
)


def drawn(n: int, steepness: float) -> MatchedCalls:
    """Return calibrated cells; a steeper network is more often sure."""
    rng = np.random.default_rng(1)
    p = 1 / (1 + np.exp(-steepness * rng.normal(0, 2, n)))
    return MatchedCalls(p, rng.random(n) < p)


def test_calibrated_probabilities_are_uncertain_between_the_tolerated_error_and_its_complement() -> None:
    calls = drawn(40_000, 1)
    low, high = uncertain_band(calls, np.ones(len(calls)), 0.5)
    assert low == pytest.approx(UNCERTAIN_ERROR, abs=0.03)
    assert high == pytest.approx(1 - UNCERTAIN_ERROR, abs=0.03)


def test_a_network_that_tells_cells_apart_has_a_band_of_no_width() -> None:
    said = np.array([0.05, 0.1, 0.9, 0.95])
    assert uncertain_band(MatchedCalls(said, said > 0.5), np.ones(4), 0.6) == (0.6, 0.6)


def test_a_band_is_as_wide_as_the_errors_reach_whatever_is_stated() -> None:
    said = np.linspace(0.01, 0.99, 981)
    calls = MatchedCalls(said, np.random.default_rng(0).random(len(said)) < 0.5)
    low, high = uncertain_band(calls, np.ones(len(said)), 0.5)
    assert low < 0.05
    assert high > 0.95


def test_without_cells_the_band_is_that_of_calibrated_probabilities() -> None:
    assert uncertain_band(MatchedCalls.concatenate([]), np.empty(0), 0.4) == QUICK_POINT.uncertain


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.floats(0.3, 0.7).map(lambda x: round(x, 2)),
)
def test_the_threshold_is_in_the_band(cells: list[tuple[float, bool]], positive: float) -> None:
    calls = MatchedCalls(np.array([p for p, _ in cells]), np.array([call for _, call in cells]))
    low, high = uncertain_band(calls, np.ones(len(calls)), positive)
    assert 0 <= low <= positive <= high <= 1


MARKS = np.array([[20.0, 20.0], [60.0, 20.0], [100.0, 20.0]])
DECOYS = np.array([[20.0, 60.0], [80.0, 60.0]])


def result_of(source: str, decoys: NDArray[np.float64]) -> FieldMaps:
    """Return maps with a sure nucleus at each mark, and higher peaks on less of a nucleus where nobody marked one."""
    rows, columns = np.mgrid[:80, :120] + 0.5
    centre, extent = np.full((80, 120), -6.0), np.full((80, 120), -6.0)
    for x, y, height, there in [*((x, y, 0.0, 3.0) for x, y in MARKS), *((x, y, 1.0, -1.5) for x, y in decoys)]:
        away = np.hypot(columns - x, rows - y)
        centre = np.maximum(centre, height - 0.1 * away**2)
        extent = np.maximum(extent, np.where(away < 6, there, -6.0))
    rgb = np.full((80, 120, 3), 150, np.uint8)
    field = TrainingField(
        source, "one", "one", rgb, MARKS, np.array([1, 0, 0], np.int8), None, np.ones((80, 120), np.bool_)
    )
    positivity = np.where(columns < 40, 4.0, -4.0)
    return FieldMaps(field, np.stack([centre, extent, positivity]).astype(np.float32))


def test_presence_is_chosen_where_heights_do_not_tell_cells_from_nothing() -> None:
    result = result_of("cd138", DECOYS)
    chosen = choose_peaks([result], 0.5, Trials())
    low, high = 1 / (1 + np.exp([1.5, -3.0]))
    assert low < chosen.presence_threshold < high
    found = cells_of([result], 0.5, chosen)[0]
    assert sorted(found.found_um[:, 0].tolist()) == pytest.approx((MARKS[:, 0] * 0.5).tolist(), abs=0.3)


def test_painted_fields_have_a_say_beside_marked_ones() -> None:
    easy = result_of("cd138", np.empty((0, 2)))
    alone = choose_peaks([easy], 0.5, Trials())
    with_painted = choose_peaks([easy, result_of("painted", DECOYS)], 0.5, Trials())
    assert alone.presence_threshold == 0
    assert with_painted.presence_threshold > 1 / (1 + np.exp(1.5))


def test_of_equally_good_heights_the_one_that_finds_the_right_number_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # F1 rises up to 0.4 and hardly falls then to 0.6; as many are found as are marked at 0.55.
    f1 = {0.3: 0.7, 0.4: 0.8, 0.5: 0.799, 0.55: 0.798, 0.6: 0.797, 0.65: 0.6}

    def detections(_: Trials, __: object, ___: float, cells: CellSettings) -> dict[str, ClassDetection]:
        height = cells.centre_threshold
        found = round(1000 * (1.55 - height))
        tp = round(f1[height] * (found + 1000) / 2)
        one = Detection(tp, found - tp, 1000 - tp)
        return {"cd138": ClassDetection(one, one, one)}

    monkeypatch.setattr(operating_point, "CENTRE_THRESHOLDS", np.array(list(f1)))
    monkeypatch.setattr(Trials, "detections", detections)
    assert choose_peaks([], 0.5, Trials()).centre_threshold == 0.55


def test_calls_that_are_worse_than_chance_are_not_turned_round(monkeypatch: pytest.MonkeyPatch) -> None:
    good = drawn(2000, 1)
    backward = MatchedCalls(good.p_positive, ~good.positive)
    monkeypatch.setattr(operating_point, "cells_of", lambda *_: [])
    for calls in (good, backward):
        monkeypatch.setattr(operating_point, "balanced_calls", lambda _, calls=calls: (calls, np.ones(len(calls))))
        scaling = operating_point.calibrate([], 0.5, CellSettings())
        assert scaling.slope > 0
    assert scaling == PlattScaling()


def test_folds_choose_on_the_same_painted_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating_point, "MOST_PAINTED", 2)
    result = result_of("painted", DECOYS)
    painted = [replace(result, field=replace(result.field, name=f"painted-{seed}")) for seed in range(5)]
    seen: list[set[str]] = []

    def noted(results: list[FieldMaps], *_: object) -> CellSettings:
        seen.append({each.field.name for each in results})
        return CellSettings()

    monkeypatch.setattr(operating_point, "choose_peaks", noted)
    for others in (painted, painted[::-1]):
        choose_operating_point(others, 0.5)
    for name in [f"painted-{seed}" for seed in range(5)]:
        choose_operating_point([each for each in painted if each.field.name != name], 0.5)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2
    assert all(names >= seen[0] - {f"painted-{left_out}"} for left_out, names in enumerate(seen[2:]))
