"""Folding pixels: the order that training used, white around, and nothing lost."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ihc_quant.network.card import Architecture
from ihc_quant.network.folding import fold_pixels, unfold_maps

SIDES = st.integers(1, 40)
FOLDS = st.sampled_from([1, 2, 4])


def architecture(fold: int) -> Architecture:
    return Architecture(widths=(8, 8), encoder_blocks=(0, 1), decoder_blocks=(1,), fold=fold)


@given(SIDES, SIDES, FOLDS, st.integers(0, 99))
def test_pixels_are_folded_as_in_training_and_filled_up_with_white(
    height: int, width: int, fold: int, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    folded = fold_pixels(rgb, architecture(fold))
    unfolded = functional.pixel_shuffle(torch.from_numpy(folded.copy()).permute(0, 3, 1, 2), fold)[0].numpy()
    assert unfolded.shape[1] % (2 * fold) == 0
    assert unfolded.shape[1] - height < 2 * fold
    assert unfolded.shape[2] - width < 2 * fold
    assert np.array_equal(255 - unfolded[:, :height, :width].transpose(1, 2, 0), rgb)
    assert not unfolded[:, height:].any()
    assert not unfolded[:, :, width:].any()


@given(SIDES, SIDES, FOLDS, st.integers(0, 99))
def test_maps_come_back_in_the_order_of_training_without_what_was_filled_up(
    height: int, width: int, fold: int, seed: int
) -> None:
    shape, rgb = architecture(fold), np.zeros((height, width, 3), np.uint8)
    _, rows, columns, channels = fold_pixels(rgb, shape).shape
    folded = np.random.default_rng(seed).random((rows, columns, channels), dtype=np.float32)
    wanted = functional.pixel_shuffle(torch.from_numpy(folded)[None].permute(0, 3, 1, 2), fold)[0].numpy()
    maps = unfold_maps(folded, rgb, shape)
    for plane, expected in zip((maps.centre, maps.extent, maps.positivity), wanted, strict=True):
        assert np.array_equal(plane, expected[:height, :width])
        assert plane.flags.c_contiguous


@pytest.mark.parametrize("shape", [(3, 4, 12), (4, 3, 12), (4, 4, 3), (4, 4)])
def test_maps_of_another_size_than_the_image_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="when folded"):
        unfold_maps(np.zeros(shape, np.float32), np.zeros((7, 8, 3), np.uint8), architecture(2))
