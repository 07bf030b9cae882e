"""Labelled images are read with their truth in µm; a segmentation picture becomes nuclei with calls."""

from pathlib import Path

import numpy as np
import pytest
from labelled_images import READERS, best_shift_px, read_segmentation

EXPECTED = {"cd138": (101, 9400, 1190), "bcdata": (26, 3019, 1371), "dsb2018": (107, 4550, 0), "deepliif": (2, 0, 0),
            "lysto": (23, 0, 0)}  # fmt: skip
"""Images, cells and positive cells as the collection states them; it states no cells for the last two."""


def test_red_is_positive_blue_negative_and_green_parts_them() -> None:
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[4:16, 4:16] = (0, 255, 0)
    rgb[5:15, 5:15] = (213, 0, 0)  # some reds are as low as 210
    rgb[4:16, 16:28] = (0, 255, 0)  # touches the first: two borders side by side
    rgb[5:15, 17:27] = (0, 0, 255)
    rgb[30:32, 30:32] = (0, 0, 255)  # a leftover
    labels, positive = read_segmentation(rgb)
    assert labels.max() == 2
    assert positive.tolist() == [True, False]
    assert (labels[5:15, 5:15] == 1).all()
    assert (labels[5:15, 17:27] == 2).all()
    assert np.count_nonzero(labels) == 200


def test_a_picture_without_nuclei_has_none() -> None:
    labels, positive = read_segmentation(np.zeros((8, 8, 3), np.uint8))
    assert not labels.any()
    assert positive.tolist() == []


def test_truth_that_lies_beside_its_picture_is_moved_onto_it() -> None:
    rng = np.random.default_rng(2)
    labels, rgb = np.zeros((120, 140), np.int32), np.full((120, 140, 3), 230, np.uint8)
    for number, (y, x) in enumerate(rng.integers((20, 20), (90, 110), (12, 2)), start=1):
        labels[y : y + 6, x : x + 6] = number
        rgb[y + 3 : y + 9, x - 7 : x - 1] = (90, 90, 160)
    assert best_shift_px(labels, rgb) == (3, -7)
    assert best_shift_px(np.roll(labels, (3, -7), axis=(0, 1)), rgb) == (0, 0)


@pytest.mark.shared
@pytest.mark.parametrize("source", EXPECTED)
def test_the_real_sets_are_read_whole(shared_data: Path, source: str) -> None:
    images = READERS[source](shared_data / "labelled" / source)
    count, cells, positive = EXPECTED[source]
    assert len(images) == count
    if cells:
        assert sum(len(image.positive) for image in images) == cells
        assert sum(int(image.positive.sum()) for image in images) == positive
    for image in images:
        assert len(image.places_um) == len(image.positive)
        assert source == "deepliif" or image.marked_at(image.places_um).all()
        assert image.labels is None or (image.labels.max() == len(image.positive))
    if source == "cd138":
        assert {image.group for image in images} == {"001", "003", "004", "005", "006"}
    if source == "lysto":
        assert sorted({image.count or 0 for image in images}) == [1, 30]
