"""Augmentation: marks follow pixels, chance comes from the generator alone, pictures stay pictures."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.training.augmentation import (
    AugmentationRanges,
    augmented_crop,
    between_pixel_centres,
    crop_matrix,
    restained,
)
from ihc_quant.training.batches import EXACTLY, BatchDrawer, Handling, drawn_from
from ihc_quant.training.field import UNKNOWN, TrainingField

MakeField = Callable[..., TrainingField]
RANGES = AugmentationRanges()


def dot(x: int, y: int, side: int = 96) -> TrainingField:
    """Return a field that is white but for a soft black dot on the centre of pixel (x, y)."""
    rows, columns = np.indices((side, side))
    darkness = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    rgb = np.repeat(np.rint(255 * (1 - darkness)).astype(np.uint8)[:, :, None], 3, axis=2)
    labels = (darkness > 0.5).astype(np.int32)
    place = np.array([[x + 0.5, y + 0.5]])
    return TrainingField("set", "dot", "dot", rgb, place, np.ones(1, np.int8), labels, np.ones((side, side), np.bool_))


@given(st.integers(0, 10_000), st.integers(30, 66), st.integers(30, 66))
@settings(max_examples=40, deadline=None)
def test_a_mark_stays_on_its_dot(seed: int, x: int, y: int) -> None:
    # The outline is warped with the pixels, so its centroid tells where the dot went; whole pixels make it uneven.
    crop = augmented_crop(dot(x, y), 64, RANGES, np.random.default_rng(seed), on_positive=1)
    assert crop.points_px is not None
    if len(crop.points_px) == 0 or not ((crop.points_px > 12) & (crop.points_px < 52)).all():
        return
    assert crop.labels is not None
    rows, columns = np.nonzero(crop.labels)
    assert np.hypot(*(np.array([columns.mean(), rows.mean()]) + 0.5 - crop.points_px[0])) < 0.6


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_pixels_follow_the_map_to_a_fraction_of_a_pixel(seed: int) -> None:
    field = dot(48, 44)
    assert field.points_px is not None
    matrix = crop_matrix(field, 64, RANGES, np.random.default_rng(seed), 0.0)
    warped = 255.0 - cv2.warpAffine(field.rgb, between_pixel_centres(matrix), (64, 64), borderValue=(255, 255, 255))
    weight = warped[:, :, 0]
    expected = field.points_px[0] @ matrix[:, :2].T + matrix[:, 2]
    if not ((expected > 12) & (expected < 52)).all():
        return
    rows, columns = np.indices(weight.shape) + 0.5
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    assert np.abs(found - expected).max() < 0.1


def test_a_square_that_fits_stays_within_its_field(make_field: MakeField) -> None:
    field, still = make_field(size_px=128), replace(RANGES, scale=0.0)
    for seed in range(30):
        matrix = crop_matrix(field, 64, still, np.random.default_rng(seed), 0.0)
        centre = np.linalg.solve(matrix[:, :2], np.array([32, 32]) - matrix[:, 2])
        assert ((centre >= 32) & (centre <= 96)).all()
    matrix = crop_matrix(field, 256, still, np.random.default_rng(0), 0.0)
    assert matrix[:, :2] @ (64, 64) + matrix[:, 2] == pytest.approx([128, 128])


def test_squares_are_turned_and_mirrored(make_field: MakeField) -> None:
    turns = [crop_matrix(make_field(), 32, RANGES, np.random.default_rng(seed), 0.0)[:, :2] for seed in range(40)]
    signs = np.sign(np.linalg.det(turns))
    assert 8 < (signs < 0).sum() < 32
    assert np.abs(np.linalg.det(turns)) == pytest.approx(1, abs=0.35)


def test_squares_are_placed_around_positive_cells_where_wanted(make_field: MakeField) -> None:
    field = make_field(size_px=256)
    lone = np.where(np.arange(len(field.calls)) == 0, 1, 0).astype(np.int8)
    brown = replace(RANGES, eosin_share=0.0)
    hits = []
    for wanted in (0.0, 1.0):
        crops = [
            augmented_crop(replace(field, calls=lone), 64, brown, np.random.default_rng(seed), on_positive=wanted)
            for seed in range(20)
        ]
        hits.append(sum((crop.calls == 1).any() for crop in crops))
    assert hits[1] == 20
    assert hits[0] < 10


def test_a_chromogen_shown_as_eosin_is_no_marker(make_field: MakeField) -> None:
    field = make_field()
    calls = np.resize(np.array([1, 0, UNKNOWN], np.int8), len(field.calls))
    pink = replace(RANGES, eosin_share=1.0)
    crop = augmented_crop(replace(field, calls=calls), 64, pink, np.random.default_rng(1), on_positive=1.0)
    assert set(crop.calls.tolist()) <= {0, UNKNOWN}
    assert len(crop.calls)


def test_the_same_chance_gives_the_same_picture_and_another_another(make_field: MakeField) -> None:
    one, again, other = (
        augmented_crop(make_field(), 48, RANGES, np.random.default_rng(seed), on_positive=0.5) for seed in (3, 3, 4)
    )
    assert np.array_equal(one.rgb, again.rgb)
    assert np.array_equal(one.points_px, again.points_px)  # type: ignore[arg-type]
    assert not np.array_equal(one.rgb, other.rgb)


def test_pictures_stay_eight_bit_pictures_and_the_field_is_left_alone(make_field: MakeField) -> None:
    field = make_field()
    before = field.rgb.copy()
    for seed in range(25):
        crop = augmented_crop(field, 48, RANGES, np.random.default_rng(seed), on_positive=0.5)
        assert crop.rgb.dtype == np.uint8
        assert crop.rgb.shape == (48, 48, 3)
        assert crop.rgb.flags.c_contiguous
        assert crop.valid.dtype == np.bool_
        assert crop.rgb.std() > 3
    assert np.array_equal(field.rgb, before)


def test_beyond_its_field_nothing_is_known(make_field: MakeField) -> None:
    crop = augmented_crop(make_field(), 160, RANGES, np.random.default_rng(0), on_positive=0)
    assert crop.valid.any()
    assert not crop.valid[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert crop.valid.mean() < 0.5


def test_without_a_change_staining_again_changes_nothing(make_field: MakeField) -> None:
    still = AugmentationRanges(
        hematoxylin_low=1,
        hematoxylin_high=1,
        chromogen_low=1,
        chromogen_high=1,
        vector=0,
        haze_share=0,
        white_low=1,
        white_high=1,
        white_channel=0,
        residual_low=1,
        residual_high=1,
    )
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.abs(restained(rgb, still, np.random.default_rng(0)).astype(int) - rgb).max() <= 1


def test_more_stain_is_darker(make_field: MakeField) -> None:
    rgb = make_field().rgb
    means = []
    for white in (0.86, 1.0):
        still = AugmentationRanges(
            hematoxylin_low=1,
            hematoxylin_high=1,
            chromogen_low=1,
            chromogen_high=1,
            vector=0,
            haze_share=0,
            white_low=white,
            white_high=white,
            white_channel=0,
        )
        means.append(restained(rgb, still, np.random.default_rng(0)).mean())
    assert means[0] < means[1]


def drawer_of(make_field: MakeField, seed: int = 1) -> BatchDrawer:
    pools = {"painted": [make_field("painted", str(n), n) for n in range(3)], "he": [], "cd138": [make_field("cd138")]}
    return BatchDrawer(pools, {"painted": 2, "he": 0, "cd138": 1}, 32, 0.5, 0.5, seed)


def test_a_step_has_its_batch_whenever_it_is_drawn(make_field: MakeField) -> None:
    drawer = drawer_of(make_field)
    late, early, again = drawer.draw(7), drawer.draw(2), drawer_of(make_field).draw(7)
    assert late.rgb.tobytes() == again.rgb.tobytes()
    assert late.values.tobytes() == again.values.tobytes()
    assert late.weights.tobytes() == again.weights.tobytes()
    assert late.rgb.tobytes() != early.rgb.tobytes()
    assert late.rgb.tobytes() != drawer_of(make_field, seed=2).draw(7).rgb.tobytes()
    assert late.rgb.shape == (3, 32, 32, 3)
    assert late.values.shape == late.weights.shape == (3, 3, 32, 32)


@pytest.mark.parametrize(("first", "last"), [(0, 7), (3, 5), (4, 4), (5, 2)])
def test_batches_drawn_ahead_come_in_order(make_field: MakeField, first: int, last: int) -> None:
    drawer = drawer_of(make_field)
    drawn = list(drawer.draw_ahead(first, last))
    assert [step for step, _ in drawn] == list(range(first, last))
    for step, batch in drawn:
        assert batch.rgb.tobytes() == drawer.draw(step).rgb.tobytes()


def test_a_source_may_be_varied_otherwise(make_field: MakeField) -> None:
    drawer = drawer_of(make_field)
    dark = Handling(replace(RANGES, white_low=0.3, white_high=0.3))
    both, paler = replace(drawer, handling={"painted": dark}).draw(3), drawer.draw(3)
    assert both.rgb[:2].mean() < 0.6 * paler.rgb[:2].mean()  # the two painted ones
    assert both.rgb[2].tobytes() == paler.rgb[2].tobytes()


def test_painted_images_may_weigh_more(make_field: MakeField) -> None:
    drawer = drawer_of(make_field)
    exactly = replace(EXACTLY, by_cells=False)  # of the same images
    more, as_marks = replace(drawer, handling={"painted": exactly}).draw(3), drawer.draw(3)
    assert (more.weights[:2] >= as_marks.weights[:2]).all()
    assert more.weights[:2].sum() > 1.2 * as_marks.weights[:2].sum()
    assert more.weights[2].tobytes() == as_marks.weights[2].tobytes()


def test_crowds_may_be_drawn_more_often(make_field: MakeField) -> None:
    whole = make_field(size_px=128)
    assert whole.points_px is not None
    pool = [replace(whole, points_px=whole.points_px[:cells], calls=whole.calls[:cells]) for cells in (0, 1, 9)]
    rng = np.random.default_rng(0)
    drawn = [len(drawn_from(pool, rng, by_cells=True).calls) for _ in range(3000)]
    shares = [drawn.count(cells) / 3000 for cells in (0, 1, 9)]
    np.testing.assert_allclose(shares, [1 / 6, 1 / 6 + 0.05, 1 / 6 + 0.45], atol=0.03)


def test_a_pool_without_cells_is_drawn_from_all_the_same(make_field: MakeField) -> None:
    empty = replace(make_field(), points_px=np.empty((0, 2)), calls=np.empty(0, np.int8))
    rng = np.random.default_rng(0)
    assert all(drawn_from([empty], rng, by_cells=True) is empty for _ in range(20))


def test_a_batch_from_nothing_is_refused(make_field: MakeField) -> None:
    for shares in ({"he": 1}, {"he": 0}):
        with pytest.raises(ValueError, match="images to draw from"):
            BatchDrawer({"he": []}, shares, 32, 0.5, 0.5, 1)
