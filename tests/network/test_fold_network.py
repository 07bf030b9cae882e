"""The fold network in OpenVINO against the same convolutions in PyTorch, and over a slide in windows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.errors import WeightsError
from ihc_quant.network.card import FoldsNetwork
from ihc_quant.network.fold_network import CORE, MARGIN, FoldNetwork, load_fold_network
from ihc_quant.network.weights import save_arrays
from ihc_quant.tissue.fold_chances import CERTAIN
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, FOLD_STEP_PX, PLANES, PlaneRaster

WIDTHS = (4, 6, 8)
SIDE = CORE + 2 * MARGIN

Tensors = dict[str, NDArray[np.float32]]


def random_tensors(members: int = 2) -> Tensors:
    """Return weights and biases of small members that chance made."""
    rng, tensors = np.random.default_rng(3), {}
    levels = len(WIDTHS) - 1
    for member in range(members):
        shapes = {"stem": (WIDTHS[0], PLANES, 3), "first": (WIDTHS[0], WIDTHS[0], 3), "head": (1, WIDTHS[0], 1)}
        for level in range(levels):
            low, high = WIDTHS[level], WIDTHS[level + 1]
            shapes |= {f"down.{level}.0": (high, low, 3), f"down.{level}.1": (high, high, 3)}
            shapes |= {f"side.{level}": (low, high, 1), f"up.{level}": (low, low, 3)}
        shapes |= {"mid.0": (WIDTHS[-1], WIDTHS[-1], 3), "mid.1": (WIDTHS[-1], WIDTHS[-1], 3)}
        for name, (out, into, side) in shapes.items():
            scale = np.sqrt(2 / (into * side**2))
            tensors[f"{member}.{name}.weight"] = rng.normal(0, scale, (out, into, side, side)).astype(np.float32)
            tensors[f"{member}.{name}.bias"] = rng.normal(0, 0.1, out).astype(np.float32)
    return tensors


def by_torch(tensors: Tensors, window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the chances of a window, members averaged before the sigmoid."""
    logits = []
    for member in sorted({name.split(".")[0] for name in tensors}):

        def run(features: torch.Tensor, name: str, stride: int = 1, member: str = member) -> torch.Tensor:
            weight, bias = (torch.from_numpy(tensors[f"{member}.{name}.{part}"]) for part in ("weight", "bias"))
            return functional.conv2d(features, weight, bias, stride, weight.shape[-1] // 2)

        density = torch.from_numpy(window.transpose(2, 0, 1)[np.newaxis] * np.float32(DENSITY_STEP_OD))
        levels = [run(run(density, "stem").relu(), "first").relu()]
        for level in range(len(WIDTHS) - 1):
            levels.append(run(run(levels[-1], f"down.{level}.0", 2).relu(), f"down.{level}.1").relu())
        features = run(run(levels.pop(), "mid.0").relu(), "mid.1").relu()
        for level in reversed(range(len(WIDTHS) - 1)):
            raised = functional.interpolate(run(features, f"side.{level}"), scale_factor=2.0, mode="nearest")
            features = run(levels.pop() + raised, f"up.{level}").relu()
        logits.append(run(features, "head"))
    return torch.sigmoid(torch.stack(logits).mean(dim=0))[0, 0].numpy()


def test_members_vote_as_the_same_convolutions_do_in_torch() -> None:
    tensors = random_tensors()
    window = np.random.default_rng(0).integers(0, 120, (SIDE, SIDE, PLANES), np.uint8)
    assert np.allclose(FoldNetwork(tensors, 1).chance(window), by_torch(tensors, window), atol=1e-5)


def test_a_slide_larger_than_a_window_is_judged_as_if_whole() -> None:
    """Where windows meet, what lies around them is seen; what no tile was read of has no chance of its own."""
    tensors, rng = random_tensors(1), np.random.default_rng(5)
    whole = rng.integers(0, 120, (SIDE, SIDE, PLANES), np.uint8)
    shape = (CORE + 40, CORE + 24)
    whole[shape[0] :], whole[:, shape[1] :] = 0, 0
    raster = PlaneRaster.empty(Size(shape[1] * FOLD_STEP_PX, shape[0] * FOLD_STEP_PX))
    box = GridBox(0, 0, shape[1] * FOLD_STEP_PX, shape[0] * FOLD_STEP_PX)
    raster.put(box, box, whole[: shape[0], : shape[1]])
    chances = FoldNetwork(tensors, 1).chances(raster, 0.5)
    assert chances.step_um == 4.0
    assert chances.values.shape == shape
    # Around the whole picture torch pads with nothing, as a window's border is glass: both see the same there.
    expected = by_torch(tensors, whole)[: shape[0], : shape[1]]
    inner = (slice(MARGIN, None), slice(MARGIN, None))
    assert np.abs(chances.values[inner] / CERTAIN - expected[inner]).max() <= 0.51 / CERTAIN + 1e-4


def test_a_slide_without_tiles_has_no_chance_anywhere() -> None:
    chances = FoldNetwork(random_tensors(1), 1).chances(PlaneRaster.empty(Size(4000, 3000)), 0.5)
    assert not chances.values.any()


def test_the_network_that_a_card_names_is_read_and_another_refused(tmp_path: Path) -> None:
    digest = save_arrays(dict(random_tensors()), tmp_path / "good.safetensors")
    window = np.zeros((SIDE, SIDE, PLANES), np.uint8)
    network = load_fold_network(FoldsNetwork(name="good", sha256=digest), 1, tmp_path)
    assert np.array_equal(network.chance(window), FoldNetwork(random_tensors(), 1).chance(window))
    with pytest.raises(WeightsError, match="digest differs"):
        load_fold_network(FoldsNetwork(name="good", sha256="0"), 1, tmp_path)
    with pytest.raises(WeightsError, match="missing"):
        load_fold_network(FoldsNetwork(name="none", sha256=digest), 1, tmp_path)
    other = save_arrays({"0.stem.weight": np.zeros((2, 9, 3, 3), np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no fold network"):
        load_fold_network(FoldsNetwork(name="other", sha256=other), 1, tmp_path)
