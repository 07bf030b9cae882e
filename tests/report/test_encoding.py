"""Pictures as bytes."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.report.encoding import data_uri, encode_jpeg, encode_png, fit_bytes, picture_size


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    """A picture that hardly compresses."""
    return np.random.default_rng(1).integers(0, 256, (600, 800, 3)).astype(np.uint8)


def test_png_keeps_every_pixel_and_nothing_else(noise: NDArray[np.uint8]) -> None:
    encoded = encode_png(noise)
    with Image.open(io.BytesIO(encoded)) as opened:
        assert opened.info == {}
        assert np.array_equal(np.asarray(opened), noise)
    assert encode_png(noise) == encoded


def test_a_picture_is_squeezed_only_where_it_must(noise: NDArray[np.uint8]) -> None:
    encoded = encode_png(noise)
    assert fit_bytes(encoded, len(encoded)) is encoded
    squeezed = fit_bytes(encoded, 200_000)
    assert len(squeezed) <= 200_000
    assert picture_size(squeezed)[0] >= 320
    assert fit_bytes(encoded, 200_000) == squeezed


def test_only_png_and_jpeg_are_embedded(noise: NDArray[np.uint8]) -> None:
    assert data_uri(encode_png(noise)).startswith("data:image/png;base64,")
    assert data_uri(encode_jpeg(noise)).startswith("data:image/jpeg;base64,")
    for refused in (b"", b"<svg onload=alert(1)>", b"GIF89a"):
        with pytest.raises(ValueError, match="PNG or JPEG"):
            data_uri(refused)
        with pytest.raises(ValueError, match="PNG or JPEG"):
            fit_bytes(refused, 10)


def test_a_picture_is_colour_and_eight_bits() -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_png(np.zeros((4, 4), np.uint8))
