"""Small fields to learn from."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ihc_quant.training.field import TrainingField

MakeField = Callable[..., TrainingField]
"""Makes a field of discs: ``make_field(source, name, seed)``."""


def one_pixel(source: str, name: str, group: str) -> TrainingField:
    """Return a field of which nothing matters but whose it is."""
    pixel = np.zeros((1, 1, 3), np.uint8)
    return TrainingField(source, name, group, pixel, None, np.empty(0, np.int8), None, np.ones((1, 1), np.bool_))


@pytest.fixture(scope="session")
def make_field() -> MakeField:
    """Blue and brown discs on white, with their truth."""

    def make(source: str = "painted", name: str = "one", seed: int = 0, size_px: int = 64) -> TrainingField:
        rng = np.random.default_rng([seed, 5])
        rgb = np.full((size_px, size_px, 3), 240, np.uint8)
        labels = np.zeros((size_px, size_px), np.int32)
        places = [(x, y) for y in range(12, size_px - 8, 20) for x in range(12, size_px - 8, 20)]
        calls = np.array([(index + seed) % 2 for index in range(len(places))], np.int8)
        for number, ((x, y), call) in enumerate(zip(places, calls, strict=True), start=1):
            cv2.circle(rgb, (x, y), 6, (120, 70, 40) if call else (90, 90, 170), -1)
            cv2.circle(labels, (x, y), 6, number, -1)
        rgb = np.clip(rgb + rng.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)
        points = np.array(places, np.float64) + 0.5
        return TrainingField(source, name, name, rgb, points, calls, labels, np.ones(labels.shape, np.bool_))

    return make
