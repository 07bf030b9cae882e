"""Painted training fields: truth that fits the picture, and nothing shared with the samples."""

import numpy as np
import pytest

from ihc_quant.stain.estimate import angle_degrees
from ihc_quant.synthetic.field import SAMPLE_SEEDS, PaintedField, paint_training_field
from ihc_quant.synthetic.look import KEPT_APART_DEGREES, SAMPLE_DAB, SAMPLE_HEMATOXYLIN, draw_look

SEEDS = (1, 9, 19, 101, 118)


@pytest.fixture(scope="module")
def fields() -> list[PaintedField]:
    return [paint_training_field(seed, 128) for seed in SEEDS]


def test_same_seed_paints_same_field(fields: list[PaintedField]) -> None:
    again = paint_training_field(SEEDS[0], 128)
    assert np.array_equal(again.rgb, fields[0].rgb)
    assert np.array_equal(again.labels, fields[0].labels)
    assert np.array_equal(again.positive, fields[0].positive)
    assert not np.array_equal(fields[0].rgb, fields[1].rgb)


def test_truth_and_labels_agree(fields: list[PaintedField]) -> None:
    assert sum(len(field.positive) for field in fields) > 50
    for field in fields:
        n = len(field.positive)
        assert field.rgb.shape == (128, 128, 3)
        assert field.rgb.dtype == np.uint8
        assert set(np.unique(field.labels)) - {0} == set(range(1, n + 1))
        assert field.centres_px.shape == (n, 2)
        assert field.kind.shape == (n,)
        assert (field.centres_px >= 0).all()
        assert (field.centres_px <= 128).all()


def test_nuclei_are_darker_than_what_lies_around_them(fields: list[PaintedField]) -> None:
    for field in fields:
        inside = field.rgb[field.labels > 0].mean()
        outside = field.rgb[field.labels == 0].mean()
        assert inside < outside


def test_positive_cells_are_browner_than_negative_ones() -> None:
    difference = []
    for seed in range(40, 60):
        field = paint_training_field(seed, 128)
        if not 3 <= field.positive.sum() <= len(field.positive) - 3:
            continue
        warmth = field.rgb[..., 0].astype(float) - field.rgb[..., 2]
        mean = np.bincount(field.labels.ravel(), warmth.ravel())[1:] / np.bincount(field.labels.ravel())[1:]
        difference.append(mean[field.positive].mean() - mean[~field.positive].mean())
    assert len(difference) >= 5
    assert np.mean(np.array(difference) > 0) > 0.9


def test_seeds_of_the_samples_are_refused() -> None:
    for seed in (SAMPLE_SEEDS.start, SAMPLE_SEEDS.stop - 1, -1):
        with pytest.raises(ValueError, match="kept for the sample"):
            paint_training_field(seed, 64)
    with pytest.raises(ValueError, match="positive size"):
        paint_training_field(1, 0)


def test_training_never_draws_the_stains_of_the_samples() -> None:
    for seed in range(500):
        look = draw_look(np.random.default_rng(seed))
        assert angle_degrees(look.hematoxylin, SAMPLE_HEMATOXYLIN) >= KEPT_APART_DEGREES
        assert angle_degrees(look.dab, SAMPLE_DAB) >= KEPT_APART_DEGREES
