"""What is taught and what is run are one network; a lesson is learned, and taught again gives the same."""

import numpy as np
import torch
from fold_lessons import Lesson
from numpy.typing import NDArray
from train_folds import FoldTeacher, taught, tensors_of

from ihc_quant.network.fold_network import CORE, MARGIN, FoldNetwork
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, PLANES, SQUARE

SIDE = CORE + 2 * MARGIN


def lessons() -> list[Lesson]:
    """Return even tissue with a band that is twice as dense, the fold."""
    made = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        planes = rng.integers(30, 40, (32 * SQUARE, 32 * SQUARE, PLANES)).astype(np.uint8)
        truth = np.zeros((32, 32), np.float16)
        top = int(rng.integers(4, 20))
        planes[top * SQUARE : (top + 8) * SQUARE] *= 2
        truth[top : top + 8] = 1
        made.append(Lesson(planes, truth, np.ones((32, 32), np.bool_), "made"))
    return made


def pixels_of(planes: NDArray[np.uint8]) -> torch.Tensor:
    """Return what the network sees, (1, 3, H, W)."""
    density = planes.transpose(2, 0, 1)[np.newaxis].astype(np.float32) * np.float32(DENSITY_STEP_OD)
    return torch.from_numpy(1 - np.power(np.float32(10), -density))


def test_what_is_run_is_the_network_that_learned() -> None:
    network = taught(lessons(), 2, 0)
    window = np.random.default_rng(9).integers(0, 120, (SIDE * SQUARE, SIDE * SQUARE, PLANES)).astype(np.uint8)
    with torch.inference_mode():
        expected = torch.sigmoid(network(pixels_of(window)))[0].numpy()
    assert np.allclose(FoldNetwork(tensors_of(network), 1, int8=False).chance(window), expected, atol=2e-4)
    in_integers = np.abs(FoldNetwork(tensors_of(network), 1).chance(window) - expected)
    assert in_integers.mean() < 0.05
    assert in_integers.max() < 0.3


def test_a_band_that_is_twice_as_dense_is_learned_and_alike_each_time() -> None:
    torch.set_num_threads(1)
    again = tensors_of(taught(lessons(), 2, 1))
    for name, array in tensors_of(taught(lessons(), 2, 1)).items():
        assert np.array_equal(array, again[name])
    first = taught(lessons(), 30, 1)
    lesson = lessons()[2]
    with torch.inference_mode():
        chance = torch.sigmoid(first(pixels_of(lesson.planes)))[0].numpy()
    inside = lesson.truth > 0
    assert chance[inside].mean() > 2 * chance[~inside].mean()
    assert isinstance(first, FoldTeacher)
