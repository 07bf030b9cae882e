"""What every reader of slides keeps. A new reader is tested by a class that makes one."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.domain.geometry import GridBox, Mpp
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.openslide_reader import OpenSlideReader
from ihc_quant.slide.reader import SlideReader

WIDTH, HEIGHT = 150, 110
Y, X = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([200 - X % 90, 220 - Y % 70, 255 - (X + Y) % 120], axis=2).astype(np.uint8)
HALF = np.ascontiguousarray(RGB[::2, ::2])


class SlideReaderContract:
    """Each reader opens the same picture of 150 × 110 px, kept without loss."""

    def write(self, folder: Path) -> Path:
        raise NotImplementedError

    def open(self, path: Path) -> SlideReader:
        return open_slide(path, mpp=Mpp(0.4, 0.5))

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return self.write(tmp_path)

    @pytest.fixture
    def reader(self, path: Path) -> Iterator[SlideReader]:
        with self.open(path) as reader:
            yield reader

    def expected(self, level: int) -> NDArray[np.uint8]:
        return (RGB, HALF)[level]

    def test_pixels_are_those_of_the_file(self, reader: SlideReader) -> None:
        for level in reader.info.levels:
            rgb = reader.read(level.index, GridBox(0, 0, level.size.width, level.size.height))
            assert rgb.dtype == np.uint8
            np.testing.assert_array_equal(rgb, self.expected(level.index))

    def test_level_0_is_the_slide(self, reader: SlideReader) -> None:
        first = reader.info.levels[0]
        assert (first.index, first.downsample_x, first.downsample_y) == (0, 1.0, 1.0)
        assert first.size == reader.info.size
        assert (reader.info.size.width, reader.info.size.height) == (WIDTH, HEIGHT)

    def test_places_outside_are_white(self, reader: SlideReader) -> None:
        rgb = reader.read(0, GridBox(-20, -10, WIDTH + 7, HEIGHT + 300))
        np.testing.assert_array_equal(rgb[10 : 10 + HEIGHT, 20 : 20 + WIDTH], RGB)
        rgb[10 : 10 + HEIGHT, 20 : 20 + WIDTH] = 255
        assert (rgb == 255).all()
        assert (reader.read(0, GridBox(5000, 0, 5003, 2)) == 255).all()
        assert (reader.read(0, GridBox(-9, -9, -4, -7)) == 255).all()

    def test_a_pixel_does_not_depend_on_its_box(self, reader: SlideReader) -> None:
        for x0, y0, x1, y1 in [
            (0, 0, 1, 1),
            (63, 63, 65, 65),
            (17, 40, 149, 109),
            (64, 0, 128, 64),
            (140, 100, 150, 110),
        ]:
            np.testing.assert_array_equal(reader.read(0, GridBox(x0, y0, x1, y1)), RGB[y0:y1, x0:x1])

    def test_an_empty_box_has_no_pixels(self, reader: SlideReader) -> None:
        assert reader.read(0, GridBox(5, 5, 5, 9)).shape == (4, 0, 3)

    def test_threads_do_not_disturb_one_another(self, reader: SlideReader) -> None:
        boxes = [GridBox(x, y, x + 40, y + 40) for y in range(0, 70, 10) for x in range(0, 110, 10)]
        with ThreadPoolExecutor(8) as pool:
            for box, rgb in zip(boxes, pool.map(lambda box: reader.read(0, box), boxes), strict=True):
                np.testing.assert_array_equal(rgb, RGB[box.y0 : box.y1, box.x0 : box.x1])

    def test_what_is_read_may_be_written_on(self, reader: SlideReader) -> None:
        box = GridBox(0, 0, 30, 30)
        reader.read(0, box)[...] = 0
        np.testing.assert_array_equal(reader.read(0, box), RGB[:30, :30])

    def test_a_closed_slide_is_a_callers_mistake(self, reader: SlideReader) -> None:
        reader.close()
        reader.close()
        with pytest.raises(ValueError, match="closed"):
            reader.read(0, GridBox(0, 0, 1, 1))

    def test_the_same_pixels_have_the_same_hash(self, reader: SlideReader, path: Path) -> None:
        copy = path.with_name(f"copy of {path.name}")
        shutil.copy(path, copy)
        with self.open(copy) as again:
            assert len(reader.info.quick_hash) == 64
            assert again.info.quick_hash == reader.info.quick_hash

    def test_an_override_is_recorded(self, reader: SlideReader) -> None:
        assert reader.info.mpp_source == "override"
        assert reader.info.require_mpp() == Mpp(0.4, 0.5)


def write_pyramid(path: Path, *, ome: bool = False, **options: Any) -> Path:
    with tifffile.TiffWriter(path, ome=ome) as writer:
        metadata = {"axes": "YXS"} if ome else None
        writer.write(RGB, photometric="rgb", subifds=1 if ome else None, metadata=metadata, **options)
        writer.write(HALF, photometric="rgb", subfiletype=1, metadata=None, **options)
    assert path.stat().st_size < 70_000
    return path


class TestOpenSlide(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        return write_pyramid(folder / "slide.tif", tile=(64, 64), compression="zlib")

    def open(self, path: Path) -> SlideReader:
        return OpenSlideReader(path, slide_id="slide", name="slide", mpp=Mpp(0.4, 0.5))


class TestTilesOfASlideThatOpenSlideKnows(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        return write_pyramid(folder / "slide.tif", tile=(64, 64), compression="zlib")

    def test_it_is_read_around_openslide(self, reader: SlideReader) -> None:
        assert (reader.info.reader, reader.info.vendor) == ("tifffile", "generic-tiff")


class TestOmeTiff(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        return write_pyramid(folder / "slide.ome.tif", ome=True, tile=(64, 64), compression="zlib")

    def test_its_levels_are_found(self, reader: SlideReader) -> None:
        assert (reader.info.vendor, len(reader.info.levels)) == ("ome-tiff", 2)


class TestStrips(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        return write_pyramid(folder / "slide.tif", rowsperstrip=16)


class TestPlanes(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        planes = np.ascontiguousarray(RGB.transpose(2, 0, 1))
        path = folder / "slide.tif"
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", tile=(64, 64), metadata=None)
        return path


class TestPng(SlideReaderContract):
    def write(self, folder: Path) -> Path:
        Image.fromarray(RGB).save(folder / "slide.png")
        return folder / "slide.png"
