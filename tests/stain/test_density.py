"""Colour to optical density and back."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from skimage.color import separate_stains

from ihc_quant.stain.density import (
    SCIKIT_IMAGE_PER_LOG10,
    White,
    density_table,
    from_optical_density,
    optical_density,
)

channel = st.floats(180, 255)
whites = st.tuples(channel, channel, channel)
pixels = hnp.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(3)))


@given(pixels, whites)
@settings(deadline=None)
def test_colour_returns_from_optical_density(rgb: NDArray[np.uint8], white: White) -> None:
    back = from_optical_density(optical_density(rgb, white), white)
    assert np.array_equal(back, np.maximum(rgb, 1))


@given(st.integers(1, 255), whites)
@settings(deadline=None)
def test_density_is_the_logarithm_to_ten_of_the_share_absorbed(value: int, white: White) -> None:
    density = optical_density(np.full((1, 3), value, np.uint8), white)[0]
    assert density == pytest.approx([-math.log10(value / channel) for channel in white], abs=1e-6)


def test_a_pixel_brighter_than_the_white_point_keeps_its_negative_density() -> None:
    assert optical_density(np.array([[250, 250, 250]], np.uint8), (240.0, 240.0, 240.0)).max() < 0


def test_black_is_the_largest_density_and_finite() -> None:
    table = density_table((255.0, 255.0, 255.0))
    assert table[:, 0] == pytest.approx(math.log10(255))
    assert (np.diff(table, axis=1) <= 0).all()


def test_the_scale_of_scikit_image_is_one_sixth() -> None:
    rgb = np.array([[[120, 60, 200]]], np.uint8)
    theirs = separate_stains(rgb, np.eye(3))
    assert theirs[0, 0] == pytest.approx(optical_density(rgb)[0, 0] * SCIKIT_IMAGE_PER_LOG10, rel=1e-5)


@pytest.mark.parametrize("white", [(0.0, 255.0, 255.0), (255.0, 256.0, 255.0), (255.0, 255.0, math.nan)])
def test_an_impossible_white_point_is_refused(white: White) -> None:
    with pytest.raises(ValueError, match="white point"):
        optical_density(np.zeros((1, 3), np.uint8), white)


def test_only_8_bit_colour_is_taken() -> None:
    with pytest.raises(TypeError, match="uint8"):
        optical_density(np.zeros((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="last axis"):
        optical_density(np.zeros((2, 2, 4), np.uint8))
