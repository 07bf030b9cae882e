"""What is taught and what is run are one network; a lesson is learned, and taught again gives the same."""

import numpy as np
import torch
from fold_lessons import Lesson
from train_folds import FoldTeacher, folded, taught

from ihc_quant.network.fold_network import CORE, MARGIN, FoldNetwork
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, PLANES

SIDE = CORE + 2 * MARGIN


def lessons() -> list[Lesson]:
    """Return even tissue with a band that is twice as dense, the fold."""
    made = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        planes = rng.integers(30, 40, (32, 32, PLANES)).astype(np.uint8)
        truth = np.zeros((32, 32), np.float16)
        top = int(rng.integers(4, 20))
        planes[top : top + 8] *= 2
        truth[top : top + 8] = 1
        made.append(Lesson(planes, truth, np.ones((32, 32), np.bool_), "made"))
    return made


def test_folded_tensors_run_as_the_network_that_learned() -> None:
    network = taught(lessons(), 4, 0)
    window = np.random.default_rng(9).integers(0, 120, (SIDE, SIDE, PLANES)).astype(np.uint8)
    tensors = {f"0.{name}": array.astype(np.float32) for name, array in folded(network).items()}
    density = torch.from_numpy(window.transpose(2, 0, 1)[np.newaxis] * np.float32(DENSITY_STEP_OD))
    with torch.inference_mode():
        expected = torch.sigmoid(network(density))[0].numpy()
    assert np.allclose(FoldNetwork(tensors, 1).chance(window), expected, atol=1e-4)


def test_a_band_that_is_twice_as_dense_is_learned_and_alike_each_time() -> None:
    torch.set_num_threads(1)
    first, again = taught(lessons(), 40, 1), taught(lessons(), 40, 1)
    for name, array in folded(first).items():
        assert np.array_equal(array, folded(again)[name])
    lesson = lessons()[2]
    density = torch.from_numpy(lesson.planes.transpose(2, 0, 1)[np.newaxis] * np.float32(DENSITY_STEP_OD))
    with torch.inference_mode():
        chance = torch.sigmoid(first(density))[0].numpy()
    inside = lesson.truth > 0
    assert chance[inside].mean() > chance[~inside].mean() + 0.3
    assert isinstance(first, FoldTeacher)
