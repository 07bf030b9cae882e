"""Opening: what is refused, with which reason, and that odd names do no harm."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ihc_quant.domain.geometry import GridBox, Mpp
from ihc_quant.errors import NotBrightfield, RegionUnreadable, SlideError, SlideUnreadable
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.openslide_reader import OpenSlideReader
from ihc_quant.slide.overview import read_overview

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HOSTILE = sorted((SHARED_DATA / "hostile").glob("*")) if SHARED_DATA.is_dir() else []


def reason_of(path: Path, kind: type[SlideError], **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_slide(path, **options)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{options.get('slide_id', path)}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value.reason


def test_paths_that_are_no_slide_have_their_own_sentences(tmp_path: Path) -> None:
    assert "no such file" in reason_of(tmp_path / "missing.svs", SlideUnreadable)
    assert "folder" in reason_of(tmp_path, SlideUnreadable)
    (tmp_path / "file").write_bytes(b"x")
    assert "not a folder" in reason_of(tmp_path / "file" / "slide.svs", SlideUnreadable)
    (tmp_path / "empty.tif").touch()
    assert "empty" in reason_of(tmp_path / "empty.tif", SlideUnreadable)
    (tmp_path / "dangling.tif").symlink_to(tmp_path / "nowhere")
    assert "link" in reason_of(tmp_path / "dangling.tif", SlideUnreadable)
    (tmp_path / "a.tif").symlink_to(tmp_path / "b.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    assert "circle" in reason_of(tmp_path / "a.tif", SlideUnreadable)
    os.mkfifo(tmp_path / "pipe.tif")
    assert "pipe" in reason_of(tmp_path / "pipe.tif", SlideUnreadable)
    assert "pipe or device" in reason_of(Path("/dev/zero"), SlideUnreadable)
    assert "too long" in reason_of(tmp_path / ("x" * 300), SlideUnreadable)
    (tmp_path / "notes.txt").write_text("no slide")
    assert "no reader knows" in reason_of(tmp_path / "notes.txt", SlideUnreadable)
    with pytest.raises(SlideUnreadable, match="not a valid path"):
        open_slide(Path("a\0b"))


def test_a_file_without_permission(make_tiff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tiff()
    monkeypatch.setattr(os, "access", lambda *_: False)  # the administrator may read everything
    assert "permission" in reason_of(path, SlideUnreadable)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>.tif", "Größe 皮膚 😐.tif", "two words.tif", "-rf.tif", "a%20b'\".tif"]
)
def test_odd_names_do_no_harm(make_tiff: Any, name: str) -> None:
    with open_slide(make_tiff(name)) as slide:
        assert slide.info.slide_id == Path(name).stem
        assert slide.read(0, GridBox(0, 0, 300, 200)).shape == (200, 300, 3)


def test_a_name_with_control_characters_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(SlideUnreadable) as caught:
        open_slide(tmp_path / "a\nb\x1b[31m.tif")
    assert str(caught.value).isprintable()


def test_messages_name_the_slide_by_its_identifier(make_tiff: Any) -> None:
    path = make_tiff("accession-4711.tif", um=352.8)
    assert "4711" not in reason_of(path.with_name("gone.tif"), SlideUnreadable, slide_id="S7")
    with open_slide(path, slide_id="S7") as slide:
        assert slide.info.slide_id == "S7"


GREY = np.full((80, 90), 200, np.uint8)
GREY_16 = np.full((80, 90), 200, np.uint16)
RGB_16 = np.full((80, 90, 3), 40_000, np.uint16)
FIVE = np.full((80, 90, 5), 200, np.uint8)
STACK = np.full((3, 80, 90, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (GREY, {"photometric": "minisblack"}, "one channel"),
        (GREY_16, {"photometric": "minisblack"}, "one channel"),
        (RGB_16, {"compression": "zlib"}, "8 bits"),
        (RGB_16, {"compression": "zlib", "tile": None}, "8 bits"),
        (
            FIVE,
            {"photometric": "rgb", "compression": "zlib", "tile": None, "extrasamples": (0, 0)},
            "8 bits|5 channels",
        ),
        (np.full((80, 90, 4), 9, np.uint8), {"photometric": "separated", "compression": "zlib"}, "not RGB"),
        (np.full((80, 90, 3), 9, np.uint8), {"photometric": "cielab", "compression": "zlib"}, "not RGB"),
    ],
)
def test_what_is_no_8_bit_rgb_is_refused(
    make_tiff: Any, pixels: NDArray[Any], options: dict[str, Any], reason: str
) -> None:
    path = make_tiff(rgb=pixels, **({"compression": "zlib"} | options))
    with pytest.raises(NotBrightfield, match=reason):
        open_slide(path)


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("orientation", range(9))
def test_a_rotated_image_is_refused(make_tiff: Any, orientation: int, tiled: bool) -> None:
    path = make_tiff(extratags=[(274, 3, 1, orientation, True)], tile=(64, 64) if tiled else None)
    if orientation in {0, 1}:  # 0 is no valid value and taken for a tag that is not set
        open_slide(path).close()
    else:
        assert f"orientation tag ({orientation})" in reason_of(path, NotBrightfield)


def test_several_planes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, STACK, photometric="rgb", metadata={"axes": "ZYXS"}, ome=True)
    assert "3 planes" in reason_of(path, NotBrightfield)


def test_dark_images_are_refused(make_tiff: Any, tissue_rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    dark = np.zeros_like(tissue_rgb)
    dark[::9, :, 2] = 255
    assert "dark" in reason_of(make_tiff(rgb=dark), NotBrightfield)
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert "dark" in reason_of(tmp_path / "dark.png", NotBrightfield)
    for value in (255, 120):
        open_slide(make_tiff(rgb=np.full_like(tissue_rgb, value))).close()


def test_a_series_is_chosen(make_ome: Any) -> None:
    path = make_ome(images=3)
    for series, height in [(None, 200), (0, 200), (1, 160), (2, 120)]:
        with open_slide(path, series=series) as slide:
            assert slide.info.size.height == height
            assert (slide.info.series, slide.info.series_count) == (series or 0, 3)
            assert len(slide.info.levels) == 2
    assert "0 to 2" in reason_of(path, SlideUnreadable, series=3)
    assert "0 to 2" in reason_of(path, SlideUnreadable, series=-1)


def test_a_series_of_a_file_with_one_image(make_tiff: Any) -> None:
    path = make_tiff()
    open_slide(path, series=0).close()
    assert "one image" in reason_of(path, SlideUnreadable, series=1)


def png(width: int, height: int, colour: int = 2, bits: int = 8) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_pictures_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(60_000, 60_000))
    assert "too large" in reason_of(path, SlideUnreadable)
    path.write_bytes(png(30, 30))
    assert "damaged" in reason_of(path, SlideUnreadable)
    path.write_bytes(png(30, 30, bits=16))
    assert "8-bit RGB" in reason_of(path, NotBrightfield)
    for mode in ("L", "1", "I;16"):
        Image.new(mode, (30, 30), 1).save(path)
        assert "8-bit RGB" in reason_of(path, NotBrightfield)
    Image.new("CMYK", (30, 30)).save(tmp_path / "cmyk.jpg")
    assert "8-bit RGB" in reason_of(tmp_path / "cmyk.jpg", NotBrightfield)
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 30), "white").save(tmp_path / "turned.jpg", exif=exif)
    assert "orientation" in reason_of(tmp_path / "turned.jpg", NotBrightfield)


def test_transparent_places_are_white(tmp_path: Path, make_tiff: Any) -> None:
    rgba = np.zeros((60, 80, 4), np.uint8)
    rgba[:, :40] = (200, 100, 160, 255)
    rgba[:20, :40, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    with open_slide(tmp_path / "clear.png") as slide:
        picture = slide.read(0, GridBox(0, 0, 80, 60))
    path = make_tiff(rgb=rgba, compression="zlib", extrasamples=("unassalpha",), tile=None)
    with open_slide(path) as slide:
        tiff = slide.read(0, GridBox(0, 0, 80, 60))
    for rgb in (picture, tiff):
        assert (rgb[:, 40:] == 255).all()
        assert rgb[30, 10].tolist() == [200, 100, 160]
        assert np.abs(rgb[5, 5].astype(int) - (227, 177, 207)).max() <= 1


def test_openslide_lays_transparent_places_on_white(make_tiff: Any, tissue_rgb: NDArray[np.uint8]) -> None:
    """A tile that was left out is transparent, and so is the place around the slide."""
    path = make_tiff()
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = list(tiff.pages[0].databytecounts)
        counts[1] = 0
        tiff.pages.first.tags["TileByteCounts"].overwrite(counts)
    with open_slide(path) as slide:
        assert slide.info.reader == "openslide"
        assert (slide.read(0, GridBox(64, 0, 128, 64)) == 255).all()
        assert (slide.read(0, GridBox(0, 0, 64, 64)) < 255).any()


@pytest.mark.parametrize("tiled", [True, False])
def test_a_size_that_the_file_cannot_hold_is_refused(make_tiff: Any, tiled: bool) -> None:
    path = make_tiff(tile=(64, 64) if tiled else None)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageWidth"].overwrite(900_000, dtype="I")
        tiff.pages.first.tags["ImageLength"].overwrite(200_000, dtype="I")
    assert "900000 × 200000" in reason_of(path, SlideUnreadable)


def test_a_height_without_tiles_is_refused(make_tiff: Any) -> None:
    path = make_tiff(compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageLength"].overwrite(5_000)
    assert "table of tiles" in reason_of(path, SlideUnreadable)


def test_pieces_too_large_to_decode_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "strip.tif"
    tifffile.imwrite(path, shape=(30_000, 10_000, 3), dtype=np.uint8, photometric="rgb", rowsperstrip=30_000)
    assert "tiled pyramidal TIFF" in reason_of(path, SlideUnreadable)


def test_a_jpeg_tile_that_declares_more_than_its_size(make_tiff: Any) -> None:
    path = make_tiff(tile=(64, 64))
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0", offset, offset + length)
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(RegionUnreadable), open_slide(path) as slide:
        slide.read(0, GridBox(0, 0, 64, 64))


def test_a_level_with_a_fractional_downsample_does_not_depend_on_the_box(
    make_tiff: Any, tissue_rgb: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ihc_quant.slide.openslide_reader.BLOCK_PX", 32)
    path = make_tiff(rgb=np.ascontiguousarray(tissue_rgb[:171, :253]))
    with OpenSlideReader(path, slide_id="S", name="S", mpp=None) as slide, open_slide(path) as tiles:
        level = slide.info.levels[1]
        assert (level.size.width, level.size.height, level.downsample_x) == (127, 86, 2.0)
        whole = slide.read(1, GridBox(0, 0, 127, 86))
        for x0, y0, x1, y1 in [(0, 0, 5, 5), (31, 30, 34, 35), (50, 7, 127, 86), (126, 85, 127, 86)]:
            np.testing.assert_array_equal(slide.read(1, GridBox(x0, y0, x1, y1)), whole[y0:y1, x0:x1])
        stored = tiles.read(1, GridBox(0, 0, 127, 86))
        assert np.abs(stored.astype(int) - whole).mean() < 8  # OpenSlide interpolates, by a quarter of a pixel at most


def test_after_an_error_openslide_still_answers_with_ours(make_tiff: Any) -> None:
    path = make_tiff()
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = b"\0" * length
    path.write_bytes(data)
    with OpenSlideReader(path, slide_id="S1", name="S1", mpp=None) as slide:
        for box in (GridBox(0, 0, 64, 64), GridBox(128, 128, 192, 192)):
            with pytest.raises(RegionUnreadable, match="S1: "):
                slide.read(0, box)
    with pytest.raises(RegionUnreadable), open_slide(path) as slide:
        slide.read(0, GridBox(0, 0, 64, 64))


@pytest.mark.shared
@pytest.mark.parametrize("path", HOSTILE or [None], ids=lambda path: path.name if path else "none")
def test_hostile_files_give_one_error(path: Path | None, shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert path is not None
    with pytest.raises(SlideError) as caught, open_slide(path, mpp=Mpp.square(0.5)) as slide:
        read_overview(slide)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.shared
def test_a_slide_that_fails_at_reading(shared_data: Path) -> None:
    with pytest.raises(RegionUnreadable), open_slide(shared_data / "hostile" / "unreadable.svs") as slide:
        read_overview(slide)


EXPECTED = {
    "CMU-1-Small-Region.svs": ("aperio", (2220, 2967), 0.499),
    "OS-2-ndpi.ome.tif": ("ome-tiff", (2202, 2202), 0.2271),
    "OS-2-vsi.ome.tif": ("ome-tiff", (1445, 1445), 0.34605),
    "no-mpp-jpeg2000.svs": ("aperio", (4443, 3567), None),
    "kidney-ihc-no-mpp.tif": ("tiff", (1493, 901), None),
    "dicom/jpeg.dicom": ("dicom", (957, 715), None),
    "dicom/jpeg2000.dicom": ("dicom", (957, 715), None),
    "dicom/raw.dicom": ("dicom", (957, 715), None),
    "dicom/sm_image.dcm": ("dicom", (50, 50), 0.499),
    "boxes_0.dcm": ("dicom", (16, 16), 0.499),
    "boxes.tiff": ("generic-tiff", (300, 250), None),
    "yb10kx5k.zstd.tiff": ("generic-tiff", (10_000, 5_000), None),
    "😐.svs": ("aperio", (16, 16), 0.499),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", EXPECTED)
def test_real_slides_open(shared_data: Path, name: str) -> None:
    vendor, size, mpp = EXPECTED[name]
    with open_slide(shared_data / "slides" / name) as slide:
        assert slide.info.vendor == vendor
        assert (slide.info.size.width, slide.info.size.height) == size
        assert (slide.info.mpp and round(slide.info.mpp.x, 3)) == (mpp and round(mpp, 3))


@pytest.mark.shared
def test_real_fluorescence_and_rotation_are_refused(shared_data: Path) -> None:
    assert "dark" in reason_of(shared_data / "slides" / "fluorescence-dapi.ndpi", NotBrightfield)
    for orientation in range(9):
        path = shared_data / "slides" / f"test_orient{orientation}.tif"
        assert ("orientation" if orientation > 1 else "one channel") in reason_of(path, NotBrightfield)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "no-mpp-jpeg2000.svs", "boxes.tiff"])
def test_tiles_have_the_pixels_that_openslide_gives(shared_data: Path, name: str) -> None:
    path = shared_data / "slides" / name
    with open_slide(path) as tiles, OpenSlideReader(path, slide_id="S", name="S", mpp=None) as slide:
        assert tiles.info.reader == "tifffile"
        for box in (GridBox(-5, -5, 400, 300), GridBox(200, 150, 900, 700)):
            np.testing.assert_array_equal(tiles.read(0, box), slide.read(0, box))
