"""The fold network over a slide in windows; ``benchmarks/test_train_folds.py`` holds it to the one that learned."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from ihc_quant.domain.geometry import GridBox, Size
from ihc_quant.errors import WeightsError
from ihc_quant.network.architecture import ConvBlock, residual_encoder
from ihc_quant.network.card import FoldsNetwork
from ihc_quant.network.fold_network import CORE, ENCODER, MARGIN, FoldNetwork, load_fold_network
from ihc_quant.network.weights import save_arrays
from ihc_quant.tissue.fold_chances import CERTAIN
from ihc_quant.tissue.fold_planes import FOLD_STEP_PX, PLANES, SQUARE, PlaneRaster

SIDE = CORE + 2 * MARGIN

Tensors = dict[str, NDArray[np.float32]]


def random_tensors(seed: int = 3) -> Tensors:
    """Return what a network holds that chance made."""
    rng = np.random.default_rng(seed)
    encoder = residual_encoder(ENCODER)
    decoder = nn.ModuleDict(
        {
            "mid": nn.Sequential(ConvBlock(112, 64), ConvBlock(64, 64)),
            "up": nn.ModuleList([ConvBlock(40, 40), ConvBlock(32, 32)]),
            "side": nn.ModuleList([nn.Conv2d(64, 40, 1), nn.Conv2d(40, 32, 1)]),
            "fine": nn.Conv2d(24, 32, 1),
            "head": nn.Conv2d(32, 1, 1),
        }
    )
    shapes = {f"encoder.{name}": tensor.shape for name, tensor in encoder.state_dict().items()}
    shapes |= {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    made = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / max(1, int(np.prod(shape[1:])))) if len(shape) == 4 else 0.1
        values = rng.normal(0, scale, shape).astype(np.float32)
        made[name] = np.abs(values) + np.float32(1) if "running_var" in name or name.endswith("1.weight") else values
    return made


def test_windows_are_put_together_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no tile was read of has no chance of its own."""
    network, shape = FoldNetwork(random_tensors(), 1), (CORE + 40, CORE + 24)
    squares = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    whole = np.repeat(np.repeat(squares, SQUARE, axis=0), SQUARE, axis=1)
    raster = PlaneRaster.empty(Size(shape[1] * FOLD_STEP_PX, shape[0] * FOLD_STEP_PX))
    left = GridBox(0, 0, CORE // 2 * FOLD_STEP_PX, shape[0] * FOLD_STEP_PX)
    raster.put(left, left, np.repeat(whole[:, : CORE // 2 * SQUARE, np.newaxis], PLANES, axis=2))

    def blue(window: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert window.shape == (SIDE * SQUARE, SIDE * SQUARE, PLANES)
        return np.asarray(window[::SQUARE, ::SQUARE, 2] / CERTAIN, np.float32)

    monkeypatch.setattr(network, "chance", blue)
    chances = network.chances(raster, 0.5)
    assert chances.step_um == 4.0
    assert np.array_equal(chances.values[:, : CORE // 2], squares[:, : CORE // 2])
    assert not chances.values[:, CORE // 2 :].any()


def test_a_slide_without_tiles_has_no_chance_anywhere() -> None:
    chances = FoldNetwork(random_tensors(), 1).chances(PlaneRaster.empty(Size(4000, 3000)), 0.5)
    assert not chances.values.any()


def test_the_network_that_a_card_names_is_read_and_another_refused(tmp_path: Path) -> None:
    digest = save_arrays(dict(random_tensors()), tmp_path / "good.safetensors")
    window = np.zeros((SIDE * SQUARE, SIDE * SQUARE, PLANES), np.uint8)
    network = load_fold_network(FoldsNetwork(name="good", sha256=digest), 1, tmp_path)
    assert np.array_equal(network.chance(window), FoldNetwork(random_tensors(), 1).chance(window))
    with pytest.raises(WeightsError, match="digest differs"):
        load_fold_network(FoldsNetwork(name="good", sha256="0"), 1, tmp_path)
    with pytest.raises(WeightsError, match="missing"):
        load_fold_network(FoldsNetwork(name="none", sha256=digest), 1, tmp_path)
    other = save_arrays({"head.weight": np.zeros((1, 32, 1, 1), np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no fold network"):
        load_fold_network(FoldsNetwork(name="other", sha256=other), 1, tmp_path)
