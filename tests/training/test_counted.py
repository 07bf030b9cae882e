"""What a count teaches, and what it leaves open."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ihc_quant.training.augmentation import AugmentationRanges, augmented_crop
from ihc_quant.training.collection import SplitPlan, held_out_counts
from ihc_quant.training.counted import CENTRE_WEIGHT, add_count_targets, count_targets
from ihc_quant.training.field import TrainingField
from ihc_quant.training.sources import counted_fields

PLACES = [(20, 20), (20, 60), (60, 20), (60, 60)]
"""Row and column of four cells."""


def maps_of(heights: list[float], calls: list[float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return centre and positivity of four cells, 80 × 80 pixels."""
    rows, columns = np.indices((80, 80))
    centre, positivity = np.zeros((80, 80), np.float32), np.zeros((80, 80), np.float32)
    for (row, column), height, call in zip(PLACES, heights, calls, strict=True):
        square = (rows - row) ** 2 + (columns - column) ** 2
        centre = np.maximum(centre, height * np.exp(-0.5 * square / 16)).astype(np.float32)
        positivity[square <= 100] = call
    return centre, positivity


def test_the_likeliest_become_positive_cells_and_further_positive_ones_none() -> None:
    targets = count_targets(*maps_of([0.9, 0.8, 0.7, 0.9], [0.9, 0.9, 0.8, 0.1]), 2, 0.5)
    centre = [targets.values[0][place] for place in PLACES]
    assert centre == [1, 1, 0, 0]
    assert [targets.weights[0][place] for place in PLACES] == [CENTRE_WEIGHT, CENTRE_WEIGHT, CENTRE_WEIGHT, 0]
    assert [targets.values[2][place] for place in PLACES] == [1, 1, 0, 0]
    assert [targets.weights[2][place] for place in PLACES] == [1, 1, 0, 0]


def test_away_from_proposals_and_of_outlines_a_count_says_nothing() -> None:
    targets = count_targets(*maps_of([0.9, 0.8, 0.7, 0.9], [0.9, 0.9, 0.8, 0.1]), 2, 0.5)
    assert not targets.weights[1].any()
    assert not targets.weights[:, 40, 40].any()


@pytest.mark.parametrize(("count", "chosen"), [(0, 0), (4, 4), (9, 4)])
def test_a_count_beyond_the_proposals_takes_them_all(count: int, chosen: int) -> None:
    targets = count_targets(*maps_of([0.9] * 4, [0.9] * 4), count, 0.5)
    assert sum(targets.values[0][place] == 1 for place in PLACES) == chosen


def test_a_picture_without_proposals_teaches_nothing() -> None:
    empty = np.zeros((80, 80), np.float32)
    assert not count_targets(empty, empty, 3, 0.5).weights.any()


def test_only_counted_images_of_a_batch_are_changed() -> None:
    centre, positivity = maps_of([0.9] * 4, [0.9] * 4)
    maps = torch.from_numpy(np.stack([np.stack([centre, centre, positivity])] * 2))
    values, weights = torch.zeros_like(maps), torch.zeros_like(maps)
    add_count_targets([None, 4], maps, values, weights, 0.5)
    assert not weights[0].any()
    assert weights[1].any()


def one_brown_cell() -> TrainingField:
    """Return a counted crop with one brown disc near its border."""
    rgb = np.full((64, 64, 3), 235, np.uint8)
    cv2.circle(rgb, (10, 32), 6, (120, 70, 40), -1)
    (field,) = counted_fields({"one.png": (rgb, 1)})
    return field


@pytest.mark.parametrize("seed", range(12))
def test_a_counted_crop_stays_whole_and_shows_no_cell_twice(seed: int) -> None:
    ranges = AugmentationRanges(haze_share=0, eosin_share=0, noise=0.6)
    crop = augmented_crop(one_brown_cell(), 96, ranges, np.random.default_rng(seed), on_positive=0.5)
    brown = (crop.rgb[..., 2].astype(int) < 130).astype(np.uint8)
    opened = cv2.morphologyEx(brown, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    assert cv2.connectedComponents(opened)[0] - 1 == crop.count == 1


def test_shown_as_eosin_nothing_is_counted() -> None:
    ranges = AugmentationRanges(eosin_share=1)
    crop = augmented_crop(one_brown_cell(), 96, ranges, np.random.default_rng(0), on_positive=0.5)
    assert crop.count == 0


@pytest.mark.parametrize("fold", range(5))
def test_each_fold_is_tested_on_crops_it_did_not_learn_from(fold: int) -> None:
    counted = {f"{name}.png": (np.zeros((8, 8, 3), np.uint8), 1) for name in "abcdefg"}
    split = SplitPlan(fold, (), (), hold_out_images=False).split({"lysto": counted_fields(counted)}, {"lysto": 1})
    learned = {field.name for field in split.training}
    assert learned | set(held_out_counts(counted, split, fold)) == set(counted)
    assert not learned & set(held_out_counts(counted, split, fold))
    assert not split.test


def test_who_learned_from_every_crop_is_tested_on_none() -> None:
    counted = {f"{name}.png": (np.zeros((8, 8, 3), np.uint8), 1) for name in "abc"}
    split = SplitPlan(None, (), (), hold_out_images=False).split({"lysto": counted_fields(counted)}, {"lysto": 1})
    assert held_out_counts(counted, split, None) == {}
