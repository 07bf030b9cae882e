"""Slides built for the benchmarks: seamless, the same pixels at every level, readable with their µm per pixel."""

from pathlib import Path

import numpy as np
import pytest
from material import LEVEL_STEP, Plane, mirrored, write_slide
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Mpp
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.openslide_reader import OpenSlideReader


def noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(100, 256, (height, width, 3), np.uint8)


@pytest.fixture
def plane() -> Plane:
    return Plane((noise(64, 48, 1), noise(32, 80, 2)), 160, "noise")


def test_a_line_goes_on_as_its_mirror_image() -> None:
    assert mirrored(np.arange(-3, 8), 3).tolist() == [2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]


def test_a_pixel_does_not_depend_on_the_box(plane: Plane) -> None:
    whole = plane.read(GridBox(0, 0, 700, 200))
    assert np.array_equal(plane.read(GridBox(130, 50, 371, 173)), whole[50:173, 130:371])
    assert np.array_equal(whole[:64, :48], plane.pictures[0])
    assert np.array_equal(whole[:32, 160:240], plane.pictures[1])


def test_a_coarser_plane_is_the_average_of_the_finer_one(plane: Plane) -> None:
    fine = plane.read(GridBox(0, 0, 640, 128)).astype(float)
    average = fine.reshape(64, 2, 320, 2, 3).mean(axis=(1, 3))
    assert np.abs(plane.coarser(2).read(GridBox(0, 0, 320, 64)) - average).max() <= 0.5


def test_a_slide_without_loss_holds_the_plane(plane: Plane, tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    width, height = 1100, 1030
    write_slide(path, plane, width, height, mpp=Mpp(0.2271, 0.25), compression="deflate")
    with open_slide(path) as chosen, OpenSlideReader(path, slide_id="s", name="s", mpp=None) as openslide:
        for reader in (chosen, openslide):
            mpp = reader.info.require_mpp()
            assert (mpp.x, mpp.y) == pytest.approx((0.2271, 0.25), rel=1e-6)
            assert [level.downsample_x for level in reader.info.levels] == [1, LEVEL_STEP]
            everything = GridBox(0, 0, width, height)
            assert np.array_equal(reader.read(0, everything), plane.read(everything))
            part = GridBox(10, 20, 270, 250)
            assert np.array_equal(reader.read(1, part), plane.coarser(LEVEL_STEP).read(part))
