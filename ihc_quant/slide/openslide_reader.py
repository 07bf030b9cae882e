"""Slides of every vendor format and DICOM, through OpenSlide."""

import ctypes
import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import openslide
from numba import njit
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox, Mpp, Size
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.errors import RegionUnreadable, SlideError, SlideUnreadable
from ihc_quant.slide import facts
from ihc_quant.slide.reader import ClosingReader, clipped, white_box

FOREIGN_ERRORS = (openslide.OpenSlideError, ctypes.ArgumentError, KeyError, MemoryError, OSError, UnicodeError)
"""What openslide-python raises for a file; ``OpenSlideUnsupportedFormatError`` is an ``OpenSlideError``, and a property
of a slide that has just failed is a ``KeyError``."""

CACHE_BYTES = 96 << 20
"""Decoded tiles that one slide keeps."""

BLOCK_PX = 1024
"""Side of the blocks in which a level with a fractional downsample is read."""

BLOCKS_KEPT = 8
"""Such blocks that one slide keeps, 3 MB each."""

_REASONS = (
    ("Unsupported or missing image file", "no reader knows this as a slide; export it as pyramidal TIFF or OME-TIFF"),
    ("Unsupported TIFF compression", "its compression is not supported; export the slide with JPEG compression"),
    ("Unsupported transfer syntax", "its DICOM transfer syntax is not supported; export it with JPEG compression"),
    ("Couldn't get", "it is not a whole-slide DICOM image; export the slide again"),
    ("Short read", "the file ends early; copy it anew or export the slide again"),
)


@contextmanager
def openslide_errors(name: str, kind: type[SlideError]) -> Iterator[None]:
    """Turn whatever OpenSlide raises into one sentence about the slide."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise kind(name, _reason(error, kind)) from error


def _reason(error: Exception, kind: type[SlideError]) -> str:
    """Return what is wrong and the cure."""
    if isinstance(error, MemoryError):
        return "there is not enough memory to read it; close other programs or use a larger machine"
    for fragment, reason in _REASONS:
        if fragment in str(error):
            return reason
    if kind is RegionUnreadable:
        return "some of its pixels cannot be decoded; copy the file anew or export the slide again"
    return "the file is damaged or its format is not supported; copy it anew or export the slide again"


def knows(path: Path, name: str) -> str | None:
    """Return the vendor for which OpenSlide takes a file, or None where it does not know it."""
    with openslide_errors(name, SlideUnreadable):
        return openslide.OpenSlide.detect_format(path)


class OpenSlideReader(ClosingReader):
    """A slide that OpenSlide opens.

    OpenSlide interpolates where a place in a level is no whole level-0 pixel, so in a level with a fractional
    downsample a pixel would depend on the box with which it was read. Such levels are read in blocks that lie fast.
    After an error OpenSlide refuses the whole slide; every later read is then a ``RegionUnreadable`` too.

    Parameters
    ----------
    path : Path
        A regular file.
    slide_id : str
        The name under which results are kept.
    name : str
        The slide in messages.
    mpp : Mpp or None
        What the user states instead of the file.
    """

    def __init__(self, path: Path, *, slide_id: str, name: str, mpp: Mpp | None) -> None:
        super().__init__()
        self._name = name
        with openslide_errors(name, SlideUnreadable):
            self._slide = openslide.OpenSlide(path)
        try:
            with openslide_errors(name, SlideUnreadable):
                self._slide.set_cache(openslide.OpenSlideCache(CACHE_BYTES))
                properties = dict(self._slide.properties)
                self._downsamples = self._slide.level_downsamples
                sizes = self._slide.level_dimensions
            if not sizes or any(width <= 0 or height <= 0 for width, height in sizes):
                raise SlideUnreadable(name, "the file states an empty image; export the slide again")
            self.info = _slide_info(path, slide_id, properties, sizes, mpp)
        except BaseException:
            self._slide.close()
            raise
        self._blocks: OrderedDict[tuple[int, int, int], NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def read(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return the pixels of a box of one level; see ``SlideReader.read``."""
        self._require_open()
        size = self.info.levels[level].size
        inside = clipped(box, size.width, size.height)
        if inside is None:
            return white_box(box)
        if self._downsamples[level] == int(self._downsamples[level]):
            rgb = self._decode(level, inside)
        else:
            rgb = self._read_blocks(level, inside)
        if inside == box:
            return rgb
        padded = white_box(box)
        padded[inside.y0 - box.y0 : inside.y1 - box.y0, inside.x0 - box.x0 : inside.x1 - box.x0] = rgb
        return padded

    def _decode(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return a box that lies inside the level, (H, W, 3)."""
        downsample = self._downsamples[level]
        origin = (round(box.x0 * downsample), round(box.y0 * downsample))
        with openslide_errors(self._name, RegionUnreadable):
            rgba = np.asarray(self._slide.read_region(origin, level, (box.width, box.height)))
        rgb = np.empty((box.height, box.width, 3), np.uint8)
        _lay_on_white(rgba, rgb)
        return rgb

    def _read_blocks(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return a box that lies inside a level with a fractional downsample, (H, W, 3)."""
        rgb = np.empty((box.height, box.width, 3), np.uint8)
        for row in range(box.y0 // BLOCK_PX, math.ceil(box.y1 / BLOCK_PX)):
            for column in range(box.x0 // BLOCK_PX, math.ceil(box.x1 / BLOCK_PX)):
                left, top = column * BLOCK_PX, row * BLOCK_PX
                block = self._block(level, column, row)
                x0, x1 = max(left, box.x0), min(left + BLOCK_PX, box.x1)
                y0, y1 = max(top, box.y0), min(top + BLOCK_PX, box.y1)
                part = block[y0 - top : y1 - top, x0 - left : x1 - left]
                rgb[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = part
        return rgb

    def _block(self, level: int, column: int, row: int) -> NDArray[np.uint8]:
        """Return one block, from memory where it was read lately."""
        key = (level, column, row)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        size = self.info.levels[level].size
        left, top = column * BLOCK_PX, row * BLOCK_PX
        block = self._decode(
            level, GridBox(left, top, min(left + BLOCK_PX, size.width), min(top + BLOCK_PX, size.height))
        )
        with self._lock:
            self._blocks[key] = block
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return block

    def _release(self) -> None:
        self._slide.close()


@njit(nogil=True, cache=True)
def _lay_on_white(rgba: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
    """Lay straight (not premultiplied) RGBA on white; halves are rounded up."""
    for y in range(rgba.shape[0]):
        for x in range(rgba.shape[1]):
            alpha = np.uint32(rgba[y, x, 3])
            for c in range(3):
                value = np.uint32(rgba[y, x, c])
                rgb[y, x, c] = value if alpha == 255 else (value * alpha + 255 * (255 - alpha) + 127) // 255


def _slide_info(
    path: Path, slide_id: str, properties: dict[str, str], sizes: tuple[tuple[int, int], ...], mpp: Mpp | None
) -> SlideInfo:
    """Return the facts of a slide that OpenSlide opened."""
    x_um, y_um = (facts.number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    calibrated, source, problem = facts.calibration(x_um, y_um, mpp)
    size = Size(*sizes[0])
    return SlideInfo(
        slide_id=slide_id,
        reader="openslide",
        vendor=properties.get("openslide.vendor", "unknown"),
        size=size,
        levels=facts.pyramid(sizes),
        mpp=calibrated,
        mpp_source=source,
        mpp_problem=problem,
        bounds_l0=facts.bounds(properties, size),
        objective=facts.number(properties.get("openslide.objective-power")),
        scanner=_scanner(properties),
        background=facts.background(properties),
        quick_hash=properties.get("openslide.quickhash-1") or facts.quick_hash(path),
    )


def _scanner(properties: dict[str, str]) -> str | None:
    """Return vendor and model of the scanner, where stated."""
    pairs = (
        ("tiff.Make", "tiff.Model"),
        ("dicom.Manufacturer", "dicom.ManufacturerModelName"),
        ("leica.device-model", "leica.device-version"),
        ("ventana.ScannerModel", ""),
        ("philips.DICOM_MANUFACTURER", "philips.DICOM_MANUFACTURERS_MODEL_NAME"),
        ("aperio.ScanScope ID", ""),
    )
    for keys in pairs:
        words = [properties[key].strip() for key in keys if properties.get(key, "").strip()]
        if words:
            return " ".join(words)
    return None
