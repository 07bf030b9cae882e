"""Changes of stain, light, focus and compression do what they say; moves are summed up."""

import numpy as np
import pytest
from numpy.typing import NDArray
from robustness import CHANGES, blurred, compressed, light_changed, stain_changed, summary

from ihc_quant.evaluation.matching import ClassDetection, Detection
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.stain.unmixing import unmix


@pytest.fixture
def section() -> NDArray[np.uint8]:
    """Return a picture of both stains at moderate density."""
    rng = np.random.default_rng(0)
    return rng.integers((90, 80, 90), (230, 210, 220), (40, 50, 3)).astype(np.uint8)


def test_a_stain_is_multiplied_and_the_other_stays(section: NDArray[np.uint8]) -> None:
    before = unmix(section, reference_stains())
    for factors in ({"hematoxylin": 0.7}, {"dab": 1.4}, {"hematoxylin": 1.0, "dab": 1.0}):
        after = unmix(stain_changed(section, **factors), reference_stains())
        wanted = before * (factors.get("hematoxylin", 1), factors.get("dab", 1))
        # Rounding to 8 bit moves an optical density by 0.005, unmixing makes that two or three times as much.
        assert np.abs(after - wanted).max() < 0.04
        assert np.median(np.abs(after - wanted)) < 0.005


def test_light_blur_and_compression(section: NDArray[np.uint8]) -> None:
    assert np.array_equal(light_changed(section, 1.0), section)
    assert light_changed(np.full((2, 2, 3), 250, np.uint8), 1.08).min() == 255
    assert np.abs(light_changed(section, 0.92) - 0.92 * section).max() <= 0.5
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    image = blurred(np.repeat(np.repeat(point, 4, 0), 4, 1), 0.25).astype(float)[..., 0]
    rows = np.arange(len(image)) + 0.5
    variance = (image.sum(axis=1) * (rows - 82) ** 2).sum() / image.sum()
    # The square of 4 px has a variance of 4/3 itself; 1 µm is 4 px.
    assert variance == pytest.approx(16 + 16 / 12, rel=0.15)
    assert compressed(section).shape == section.shape
    assert 0 < np.abs(compressed(section).astype(int) - section).mean() < 40


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_gives_a_picture_of_the_same_size(name: str, section: NDArray[np.uint8]) -> None:
    changed = CHANGES[name](section, 0.25)
    assert changed.shape == section.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, section)


def test_moves_are_summed_up_for_each_change_and_over_all() -> None:
    good, bad = ClassDetection(positive=Detection(8, 2, 2)), ClassDetection(positive=Detection(4, 2, 6))
    rows = [
        {"change": change, "image": "a", "before": before, "after": after, "detection": bad, "detection_before": good}
        for change, before, after in (("x", 10.0, 12.0), ("x", 10.0, 6.0), ("x", None, 3.0), ("y", 50.0, 50.0))
    ]
    result = summary(rows)
    assert (result["x"]["median_points"], result["x"]["mean_points"]) == (3.0, -1.0)
    assert (result["x"]["images"], result["x"]["without_cells"]) == (2, 1)
    assert result["y"]["p90_points"] == 0
    assert result["all"]["images"] == 3
    assert result["x"]["positive_f1_change"] == pytest.approx(0.5 - 0.8)
    assert result["x"]["negative_f1_change"] is None
