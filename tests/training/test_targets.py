"""What each pixel should say, and what is not held against it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ihc_quant.training.field import UNKNOWN, TrainingField
from ihc_quant.training.losses import map_losses
from ihc_quant.training.targets import (
    BROWN_FROM_UM,
    CALL_RADIUS_UM,
    CENTRE_SIGMA_UM,
    EXACT,
    MARKED,
    NUCLEUS_RADIUS_UM,
    OUTSIDE_RADIUS_UM,
    targets_of,
)

MakeField = Callable[..., TrainingField]


def one_point(x: float, y: float, call: int = 1) -> TrainingField:
    return TrainingField(
        "set",
        "one",
        "one",
        np.full((40, 50, 3), 200, np.uint8),
        np.array([[x, y]]),
        np.array([call], np.int8),
        None,
        np.ones((40, 50), np.bool_),
    )


def test_the_centre_peaks_at_the_mark_and_falls_off_around_it() -> None:
    values = targets_of(one_point(20.5, 10.5), 0.5).values
    assert values[0, 10, 20] == 1
    assert values.shape == (3, 40, 50)
    assert np.unravel_index(values[0].argmax(), (40, 50)) == (10, 20)
    beside = pytest.approx(np.exp(-0.5 * (0.5 / CENTRE_SIGMA_UM) ** 2))
    assert values[0, 10, 21] == values[0, 10, 19] == values[0, 11, 20] == beside
    assert values[0, 39, 49] < 1e-6


def test_a_mark_between_pixels_belongs_to_all_of_them() -> None:
    centre = targets_of(one_point(20.0, 10.0), 0.5).values[0]
    assert centre[9, 19] == centre[9, 20] == centre[10, 19] == centre[10, 20] == centre.max()


@pytest.mark.parametrize("call", [0, 1])
def test_a_call_is_known_around_its_mark_alone(call: int) -> None:
    targets = targets_of(one_point(20.5, 10.5, call), 0.5)
    rows, columns = np.nonzero(targets.weights[2])
    away_um = np.hypot(columns + 0.5 - 20.5, rows + 0.5 - 10.5) * 0.5
    assert away_um.max() <= CALL_RADIUS_UM
    assert len(rows) == pytest.approx(np.pi * (CALL_RADIUS_UM / 0.5) ** 2, rel=0.1)
    assert (targets.values[2][rows, columns] == call).all()


def test_a_cell_without_a_call_teaches_its_place_only() -> None:
    targets = targets_of(one_point(20.5, 10.5, UNKNOWN), 0.5)
    assert not targets.weights[2].any()
    assert targets.weights[0].all()
    assert targets.values[0].max() == 1


def test_a_border_that_nobody_marked_teaches_nothing(make_field: MakeField) -> None:
    field = make_field()
    valid = np.zeros_like(field.valid)
    valid[16:-16, 16:-16] = True
    weights = targets_of(replace(field, valid=valid), 0.5).weights
    assert not weights[:, ~valid].any()
    assert weights[:2, valid].all()


def test_outlines_teach_only_where_they_are_known(make_field: MakeField) -> None:
    field = make_field()
    assert field.labels is not None
    assert np.array_equal(targets_of(field, 0.5).values[1] == 1, field.labels > 0)


@pytest.mark.parametrize(("call", "importance"), [(0, 1.0), (1, MARKED.positive), (UNKNOWN, 1.0)])
def test_a_mark_teaches_that_a_nucleus_is_there_and_nothing_of_its_outline(call: int, importance: float) -> None:
    targets = targets_of(one_point(20.5, 10.5, call), 0.5)
    rows, columns = np.mgrid[:40, :50]
    away_um = np.hypot(columns + 0.5 - 20.5, rows + 0.5 - 10.5) * 0.5
    inside, outside = away_um <= NUCLEUS_RADIUS_UM, away_um > OUTSIDE_RADIUS_UM
    assert (targets.values[1] == inside).all()
    assert (targets.weights[1] == np.where(inside, importance, outside)).all()
    assert (targets.weights[0] == np.where(inside, importance, 1)).all()


def painted(call: int) -> TrainingField:
    return replace(one_point(20.5, 10.5, call), labels=np.zeros((40, 50), np.int32))


@pytest.mark.parametrize(("call", "importance"), [(0, EXACT.negative), (1, EXACT.positive)])
def test_exact_marks_of_both_calls_weigh_more(call: int, importance: float) -> None:
    weights = targets_of(painted(call), 0.5, EXACT).weights
    rows, columns = np.mgrid[:40, :50]
    inside = np.hypot(columns + 0.5 - 20.5, rows + 0.5 - 10.5) * 0.5 <= NUCLEUS_RADIUS_UM
    assert (weights[:2] == np.where(inside, importance, 1)).all()
    assert weights[2].max() == EXACT.call


@pytest.mark.parametrize("rgb", [(150, 110, 80), (140, 120, 100)])
def test_brown_that_is_no_nucleus_weighs_more_where_truth_is_exact(rgb: tuple[int, int, int]) -> None:
    field = painted(0)
    field.rgb[:, 30:] = rgb
    field.rgb[:, :10] = (90, 80, 150)  # a nucleus' hematoxylin, which is no brown
    weights = targets_of(field, 0.5, EXACT).weights
    assert (weights[:2, :, 30:] > 1).all()
    assert (weights[:2, :, 30:] <= 1 + EXACT.brown).all()
    assert (weights[:2, :, :10] == 1).all()
    assert (targets_of(field, 0.5).weights[:2] == 1).all()


def test_brown_over_a_nucleus_is_no_mistake() -> None:
    field = painted(1)
    field.rgb[:] = (150, 110, 80)
    rows, columns = np.mgrid[:40, :50]
    away_um = np.hypot(columns + 0.5 - 20.5, rows + 0.5 - 10.5) * 0.5
    weights = targets_of(field, 0.5, EXACT).weights
    assert (weights[0][away_um <= NUCLEUS_RADIUS_UM] == EXACT.positive).all()
    assert (weights[0][(away_um > NUCLEUS_RADIUS_UM) & (away_um <= BROWN_FROM_UM)] == 1).all()
    assert (weights[0][away_um > BROWN_FROM_UM] > 1).all()


def test_he_teaches_only_that_nothing_is_positive(make_field: MakeField) -> None:
    field = make_field()
    nowhere, none = np.zeros_like(field.valid), np.empty(0, np.int8)
    targets = targets_of(replace(field, points_px=None, calls=none, labels=None, valid=nowhere, no_marker=True), 0.5)
    assert not targets.weights[:2].any()
    assert targets.weights[2].all()
    assert not targets.values[2].any()


def test_a_picture_without_cells_teaches_that_there_are_none(make_field: MakeField) -> None:
    empty = replace(make_field(), points_px=np.empty((0, 2)), calls=np.empty(0, np.int8), labels=None)
    targets = targets_of(empty, 0.5)
    assert targets.weights[0].all()
    assert targets.weights[1].all()
    assert not targets.values.any()
    assert not targets.weights[2].any()


def test_a_field_whose_parts_do_not_belong_together_is_refused(make_field: MakeField) -> None:
    with pytest.raises(ValueError, match="every marked cell has a call"):
        replace(make_field(), calls=np.zeros(1, np.int8))
    with pytest.raises(ValueError, match="shape"):
        replace(make_field(), valid=np.ones((3, 3), np.bool_))


def test_what_is_not_known_costs_nothing() -> None:
    torch.manual_seed(0)
    logits, values = torch.randn(2, 3, 8, 8), torch.rand(2, 3, 8, 8).round()
    weights = torch.ones(2, 3, 8, 8)
    weights[:, :, :, 4:] = 0
    weights[:, 2] = 0
    losses = map_losses(logits, values, weights)
    assert losses.shape == (3,)
    assert losses[2] == 0
    other = logits.clone()
    other[:, :, :, 4:] = 99
    other[:, 2] = -99
    assert torch.equal(map_losses(other, values, weights), losses)


def test_a_right_answer_costs_less_than_a_wrong_one_and_a_missed_peak_costs_most() -> None:
    values = torch.zeros(1, 3, 8, 8)
    values[0, :, 4, 4] = 1
    weights = torch.ones(1, 3, 8, 8)
    right = torch.where(values > 0, 8.0, -8.0)
    missed, invented = right.clone(), right.clone()
    missed[0, :, 4, 4] = -8
    invented[0, :, 2, 2] = 8
    cost = [map_losses(logits, values, weights) for logits in (right, missed, invented)]
    assert (cost[0] < 1e-3).all()
    assert (cost[1] > cost[0]).all()
    assert cost[1][0] > 5 * cost[2][0]
    assert map_losses(right, values, weights * 0.25)[1] == pytest.approx(float(cost[0][1]), rel=1e-3)
