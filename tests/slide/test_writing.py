"""The pyramid writer: what OpenSlide reads back."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from ihc_quant.slide.writing import halved, write_pyramid


def smooth_picture(height: int, width: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    y, x = np.mgrid[:height, :width]
    planes = [128 + 90 * np.sin(x / 60 + shift) * np.cos(y / 80) for shift in (0, 1, 2)]
    return np.stack(planes, axis=2).astype(np.uint8)


def test_openslide_reads_pixels_levels_and_mpp(tmp_path: Path) -> None:
    rgb = smooth_picture(1301, 1702)
    write_pyramid(tmp_path / "slide.tiff", rgb, 0.25)
    with openslide.OpenSlide(tmp_path / "slide.tiff") as slide:
        assert slide.dimensions == (1702, 1301)
        assert slide.level_dimensions == ((1702, 1301), (851, 651), (426, 326))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.25, rel=1e-6)
        read = np.asarray(slide.read_region((0, 0), 0, (1702, 1301)).convert("RGB"))
        half = np.asarray(slide.read_region((0, 0), 1, (851, 651)).convert("RGB"))
    assert np.abs(read.astype(int) - rgb).mean() < 2
    assert np.abs(half.astype(int) - halved(rgb)).mean() < 2


def test_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    rgb = smooth_picture(300, 300)
    for name in ("a.tiff", "b.tiff"):
        write_pyramid(tmp_path / name, rgb, 0.5)
    assert (tmp_path / "a.tiff").read_bytes() == (tmp_path / "b.tiff").read_bytes()


def test_halved_is_the_mean_of_two_by_two() -> None:
    rgb = np.zeros((3, 2, 3), np.uint8)
    rgb[0, 0], rgb[1, 1], rgb[2, 0] = 4, 8, 10
    assert halved(rgb)[..., 0].tolist() == [[3], [5]]


def test_refuses_what_is_no_rgb_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8-bit RGB"):
        write_pyramid(tmp_path / "x.tiff", np.zeros((8, 8), np.uint8), 0.25)
    with pytest.raises(ValueError, match="positive"):
        write_pyramid(tmp_path / "x.tiff", np.zeros((8, 8, 3), np.uint8), 0.0)
