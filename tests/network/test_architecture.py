"""The network itself: sizes, and that nothing in it depends on where a tile was cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from ihc_quant.network.architecture import MAP_NAMES, CellNetwork, normalise
from ihc_quant.network.card import ARCHITECTURES as MADE
from ihc_quant.network.card import Architecture, Calibration
from ihc_quant.network.folding import fold_pixels, unfold_maps
from ihc_quant.network.torch_predictor import PackedNetwork, fused

SMALL = Architecture(widths=(8, 12, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1), fold=2)
DEEP = Architecture(
    widths=(16, 24, 40, 112), encoder_blocks=(1, 2, 2, 6), decoder_blocks=(2, 1, 1), encoder="efficientnet_lite0"
)
SHAPES = [
    SMALL,
    Architecture(widths=(8, 8), encoder_blocks=(0, 1), decoder_blocks=(2,), fold=1),
    Architecture(widths=(6, 8, 10, 12), encoder_blocks=(1, 0, 2, 1), decoder_blocks=(0, 1, 2), fold=4),
    MADE["efficientnet_lite0"],
    DEEP,
]


def network_of_chance(architecture: Architecture) -> CellNetwork:
    torch.manual_seed(1)
    network = CellNetwork(architecture)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def pixels(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def logits_of(network: nn.Module, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(network(normalise(torch.from_numpy(np.ascontiguousarray(rgb))[None]))[0].numpy(), np.float32)


@pytest.mark.parametrize("architecture", SHAPES, ids=lambda each: f"{each.encoder}-{len(each.widths)}-fold{each.fold}")
@given(rows=st.integers(1, 4), columns=st.integers(1, 4))
@settings(max_examples=6, deadline=None)
def test_each_pixel_gets_an_answer_in_each_map(architecture: Architecture, rows: int, columns: int) -> None:
    stride = architecture.stride_px
    logits = logits_of(network_of_chance(architecture), pixels(rows * stride, columns * stride))
    assert logits.shape == (len(MAP_NAMES), rows * stride, columns * stride)
    assert np.isfinite(logits).all()


def reach_px(network: CellNetwork, size_px: int = 192) -> int:
    """Measure how far a pixel acts: the distance of the farthest output that its change changes."""
    image = pixels(size_px, size_px)
    middle = size_px // 2
    farthest = 0
    for offset in range(0, network.architecture.stride_px, 3):  # the reach depends on the place within the stride
        changed = image.copy()
        place = middle + offset
        changed[place, place] = 255 - changed[place, place]
        rows, columns = np.nonzero((logits_of(network, image) != logits_of(network, changed)).any(axis=0))
        farthest = max(farthest, int(np.abs(rows - place).max()), int(np.abs(columns - place).max()))
    return farthest


def test_a_tile_cut_from_a_larger_image_gets_the_same_maps_away_from_its_border() -> None:
    network, stride = network_of_chance(SMALL), SMALL.stride_px
    margin = reach_px(network)
    assert 0 < margin <= 64, f"measured {margin} px"
    image = pixels(256, 256)
    whole = logits_of(network, image)
    y0, x0, side = 4 * stride, 3 * stride, 20 * stride
    part = logits_of(network, image[y0 : y0 + side, x0 : x0 + side])
    inner = slice(margin, side - margin)
    assert np.abs(part[:, inner, inner] - whole[:, y0 : y0 + side, x0 : x0 + side][:, inner, inner]).max() < 1e-5
    assert np.abs(part - whole[:, y0 : y0 + side, x0 : x0 + side]).max() > 1e-3  # the border does differ


def test_what_sees_farther_asks_for_a_wider_margin() -> None:
    shallow = Architecture(
        widths=(16, 24, 40), encoder_blocks=(1, 2, 2), decoder_blocks=(2, 1), encoder="efficientnet_lite0"
    )
    assert 30 < MADE["plain"].margin_px < shallow.margin_px == MADE["efficientnet_lite0"].margin_px < DEEP.margin_px
    assert DEEP.margin_px % DEEP.stride_px == 0


def test_moving_the_image_by_the_stride_moves_the_maps() -> None:
    network, stride = network_of_chance(SMALL), SMALL.stride_px
    margin = reach_px(network) + stride
    image = pixels(192, 192)
    moved = np.roll(image, (stride, 2 * stride), axis=(0, 1))
    back = np.roll(logits_of(network, moved), (-stride, -2 * stride), axis=(1, 2))
    inner = slice(margin, 192 - margin - stride)
    assert np.abs(back[:, inner, inner] - logits_of(network, image)[:, inner, inner]).max() < 1e-5


def test_the_first_layer_takes_the_padding_of_a_border_for_empty_glass() -> None:
    network, stride = network_of_chance(SMALL), SMALL.stride_px
    assert float(normalise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)).abs().max()) == 0
    assert float(normalise(torch.zeros(1, 2, 2, 3, dtype=torch.uint8)).min()) == 1
    first = network.encoder[0]
    image = torch.zeros(1, 3 * SMALL.fold**2, stride, stride)
    with torch.inference_mode():
        glass = first[0](image)  # type: ignore[index]
    assert float((glass - glass[..., 1:2, 1:2]).abs().max()) < 1e-6


@pytest.mark.parametrize("architecture", [SMALL, MADE["efficientnet_lite0"]], ids=lambda each: each.encoder)
def test_folding_the_normalisation_changes_nothing(architecture: Architecture) -> None:
    image = pixels(48, 48)
    before = logits_of(network_of_chance(architecture), image)
    after = fused(network_of_chance(architecture))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in after.modules())
    assert np.abs(logits_of(after, image) - before).max() < 1e-4 * max(1, np.abs(before).max())


def test_calibration_touches_the_positivity_alone() -> None:
    network, rgb = network_of_chance(SMALL), pixels(32, 32)
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(rgb)[None]))[0]
        calibration = Calibration(slope=2.0, intercept=-1.0, fitted_on="nothing")
        packed = PackedNetwork(network, calibration, torch.float32)(torch.from_numpy(fold_pixels(rgb, SMALL)))
    maps = unfold_maps(packed[0].numpy(), rgb, SMALL)
    centre, extent, positivity = torch.sigmoid(torch.stack([logits[0], logits[1], 2 * logits[2] - 1])).numpy()
    assert np.allclose(maps.centre, centre, atol=1e-5)
    assert np.allclose(maps.extent, extent, atol=1e-5)
    assert np.allclose(maps.positivity, positivity, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": (8,), "encoder_blocks": (1,), "decoder_blocks": ()},
        {"widths": (8, 8), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)},
        {"widths": (8, 0), "encoder_blocks": (1, 1), "decoder_blocks": (1,)},
        {"widths": (8, 8), "encoder_blocks": (1, -1), "decoder_blocks": (1,)},
        {"fold": 0},
        {"encoder": "efficientnet_lite0"},  # with the widths of the other one
        {
            "encoder": "efficientnet_lite0",
            "widths": (16, 24, 40),
            "encoder_blocks": (1, 2, 3),
            "decoder_blocks": (1, 1),
        },
    ],
)
def test_an_impossible_architecture_is_refused(wrong: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"architecture|widths"):
        Architecture(**wrong)  # type: ignore[arg-type]
