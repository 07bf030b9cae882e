"""Matching of points: as many pairs as possible, one to one, the nearest among them."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.evaluation import matching
from ihc_quant.evaluation.matching import ClassDetection, Detection, detect, detect_by_class, match_points

# Whole µm, so that distances exactly at the radius and equal distances occur.
points = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5).map(
    lambda pairs: np.array(pairs, np.float64).reshape(-1, 2)
)
counts = st.builds(Detection, *[st.integers(0, 1000)] * 3)


def best_by_trying(found: NDArray[np.float64], true: NDArray[np.float64], radius: float) -> tuple[int, float]:
    """Return the number of pairs and the least sum of distances, by trying every assignment."""
    if len(found) > len(true):
        found, true = true, found
    best = (0, 0.0)
    for order in itertools.permutations(range(len(true)), len(found)):
        away = np.linalg.norm(found - true[list(order)], axis=1)
        away = away[away <= radius]
        if len(away) > best[0] or (len(away) == best[0] and away.sum() < best[1]):
            best = (len(away), float(away.sum()))
    return best


@given(found=points, true=points, radius=st.sampled_from([1.0, 4.0, 5.0]))
@settings(max_examples=150, deadline=None)
def test_the_matching_is_the_largest_and_of_these_the_nearest(
    found: NDArray[np.float64], true: NDArray[np.float64], radius: float
) -> None:
    matches = match_points(found, true, radius)
    assert len(set(matches.found)) == len(set(matches.true)) == len(matches)
    assert (matches.distance <= radius + 1e-9).all()
    number, total = best_by_trying(found, true, radius)
    assert len(matches) == number
    assert matches.distance.sum() == pytest.approx(total, abs=1e-6)


@given(found=points, true=points)
@settings(max_examples=50, deadline=None)
def test_every_point_is_counted_once_and_swapping_sides_swaps_the_errors(
    found: NDArray[np.float64], true: NDArray[np.float64]
) -> None:
    there, back = detect(found, true), detect(true, found)
    assert there.tp + there.fp == len(found)
    assert there.tp + there.fn == len(true)
    assert (back.tp, back.fp, back.fn) == (there.tp, there.fn, there.fp)


@given(counts, counts, counts)
def test_detections_add_in_any_order(a: Detection, b: Detection, c: Detection) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Detection() == a
    assert ClassDetection(a, b, c) + ClassDetection() == ClassDetection(a, b, c)


def test_ratios_that_do_not_exist_are_none() -> None:
    nothing = detect(np.empty((0, 2)), np.empty((0, 2)))
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)
    assert Detection(0, 3, 0).f1 == 0


def test_a_wrong_call_is_an_error_in_both_classes() -> None:
    place = np.array([[10.0, 10.0], [50.0, 50.0]])
    result = detect_by_class(place, np.array([True, True]), place, np.array([True, False]))
    assert result.positive == Detection(1, 1, 0)
    assert result.negative == Detection(0, 0, 1)
    assert result.either == Detection(2, 0, 0)


def test_points_in_the_unmarked_border_are_no_errors_but_may_be_partners() -> None:
    found = np.array([[1.0, 50.0], [7.0, 20.0], [50.0, 50.0]])
    true = np.array([[9.0, 20.0]])
    counted = np.array([False, False, True])
    assert detect(found, true, found_counts=counted, true_counts=np.array([True])) == Detection(1, 1, 0)


def test_fifty_thousand_crowded_points_are_matched() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 3000, (50_000, 2))
    found = (true + rng.normal(0, 1, true.shape))[rng.random(len(true)) < 0.9]
    matches = match_points(found, true)
    assert len(matches) > 0.99 * len(found)


@given(found=points, true=points, radius=st.sampled_from([1.0, 4.0, 5.0]))
@settings(max_examples=50, deadline=None)
def test_the_sparse_solver_agrees_with_the_dense_one(
    found: NDArray[np.float64], true: NDArray[np.float64], radius: float
) -> None:
    dense = match_points(found, true, radius)
    with mock.patch.object(matching, "DENSE_ENTRIES", 0):
        sparse = match_points(found, true, radius)
    assert len(sparse) == len(dense)
    assert sparse.distance.sum() == pytest.approx(dense.distance.sum(), abs=1e-6)
